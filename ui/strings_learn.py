"""Texts of the learn page, in one place for translators."""

from __future__ import annotations

TITLE = "Learn"

# --- concepts
CONCEPTS = "Concepts"
CONCEPTS_TEXT = "A concept is a person, a pet or a thing that you define by example pictures. Search for it as `@name`."
NO_CONCEPTS = "No concepts yet."
CONCEPT_LINE = "@{name}"
CONCEPT_COUNTS = "{positives} positive, {negatives} negative examples"
CONCEPT_SEARCH = "Search"
CONCEPT_SUGGEST = "Add examples"
CONCEPT_REMOVE = "Remove"
CONCEPT_REMOVED = "{name} removed; its pictures stay."
SUGGESTIONS = "Do these show {name}?"
NO_SUGGESTIONS = "No more suggestions."
SUGGESTION_ALT = "{name}, to confirm or reject"
LIKELY = "{share} probability"
CONFIRM = "Yes"
REJECT = "No"
SUGGESTIONS_CLOSE = "Done"
TAUGHT = "{name} refitted."
ADD_CONCEPT = "Add concept"
ADD_NAME = "Name"
ADD_TEXT = "Description (optional)"
ADD_TEXT_HELP = "Helps while there are few examples, such as: a brown dog"
ADD_EXAMPLES = "Positive examples, one per line"
ADD_EXAMPLES_HELP = (
    "Paths of pictures, or ~# and the first digits of a content hash, which the page of a picture shows."
)
ADD_COUNTER = "Negative examples, one per line (optional)"
ADD_COUNTER_HELP = "Further negative examples are drawn from the library."
ADD_BUTTON = "Add"
ADDED = "Concept added. Search for it as @{name}."

# --- tags
TAGS = "Tags"
TAGS_TEXT = "Tags assigned by the model or by hand. Tags by hand override the model."
NO_TAGS = "No tags yet."
TAG_ALL = "Tag all pictures"
TAG_ALL_HELP = (
    "Assign tags from a vocabulary of about two thousand words to all pictures, and to newly indexed ones, too."
)
TAGGED = "{count} pictures tagged."
TAG_FIND = "Filter tags"
TAG_BUTTON = "{tag} ({count})"
TAGS_CUT = "The {count} most frequent are shown."

# --- classify
CLASSIFY = "Classify"
CLASSIFY_TEXT = "Classify pictures by label names (zero-shot), such as: plane, car, dog, bird."
LABELS = "Labels, separated by commas"
CLASSIFY_QUERY = "Query"
CLASSIFY_QUERY_HELP = "The pictures to classify; without a query, the newest pictures."
CLASSIFY_LIMIT = "Maximum number of pictures"
CLASSIFY_BUTTON = "Classify"
LABEL_COUNT = "{label}: {count}"
LABEL_EMPTY = "No pictures."
LABELLED_ALT = "{name}, classified as {label}"

# --- training
TRAINING = "Training"
TRAINING_TEXT = "The progress of `clipsearch train`, which fine-tunes a model on captioned pictures in a terminal."
TRAINING_FOLDER = "Folder of the training (--output)"
NO_TRAINING = "No training in this folder."
TRAINING_EPOCH = "Epoch {epoch} of {epochs}"
LOSS = "Loss"
HIT_RATE = "Hit rate @10"
EPOCH = "Epoch"
