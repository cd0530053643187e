"""Every English text of the learn page, in one place for translators."""

from __future__ import annotations

TITLE = "Learn"

# --- concepts
CONCEPTS = "Concepts"
CONCEPTS_TEXT = (
    "Teach the library something of your own, such as your dog, from a few pictures. In a search it is then `@name`."
)
NO_CONCEPTS = "There are no concepts yet."
CONCEPT_LINE = "@{name}"
CONCEPT_COUNTS = "{positives} of it, {negatives} not of it"
CONCEPT_SEARCH = "Search"
CONCEPT_SUGGEST = "Teach it more"
CONCEPT_REMOVE = "Forget"
CONCEPT_REMOVED = "{name} is forgotten; its pictures stay."
SUGGESTIONS = "Do these show {name}?"
NO_SUGGESTIONS = "There is nothing left to ask about."
SUGGESTION_ALT = "{name}, to be confirmed or rejected"
LIKELY = "{share} likely"
CONFIRM = "Yes"
REJECT = "No"
SUGGESTIONS_CLOSE = "Enough"
TAUGHT = "{name} is fitted again."
ADD_CONCEPT = "A new concept"
ADD_NAME = "Its name"
ADD_TEXT = "What it is in words, if there are any"
ADD_TEXT_HELP = "It guides the search while there are few pictures: a brown dog"
ADD_EXAMPLES = "Pictures of it, one on each line"
ADD_EXAMPLES_HELP = "Paths of files, or ~# and the first digits of a picture's hash, as a picture's own page shows it."
ADD_COUNTER = "Pictures of something else, one on each line"
ADD_COUNTER_HELP = "Without any, pictures are drawn from the library."
ADD_BUTTON = "Teach"
ADDED = "Searches know @{name} now."

# --- tags
TAGS = "Tags"
TAGS_TEXT = "Words that the library gave its pictures, and those that you gave. What you say wins for ever."
NO_TAGS = "The library has no tags yet."
TAG_ALL = "Give tags to all pictures"
TAG_ALL_HELP = "Every picture is compared with about two thousand everyday words; new ones are from then on, too."
TAGGED = "{count} pictures have tags now."
TAG_FIND = "Find a tag"
TAG_BUTTON = "{tag} ({count})"
TAGS_CUT = "The {count} most frequent are shown."

# --- classify
CLASSIFY = "Sort"
CLASSIFY_TEXT = "Sort pictures by labels of your own, for instance: plane, car, dog, bird."
LABELS = "Labels, with commas between them"
CLASSIFY_QUERY = "Which pictures"
CLASSIFY_QUERY_HELP = "A search; without anything, the newest pictures."
CLASSIFY_LIMIT = "How many at most"
CLASSIFY_BUTTON = "Sort"
LABEL_COUNT = "{label}: {count}"
LABEL_EMPTY = "None of them."
LABELLED_ALT = "{name}, taken for {label}"

# --- training
TRAINING = "Training"
TRAINING_TEXT = (
    "A model learns the words of your trade from pictures with captions, with `clipsearch train` in a terminal. "
    "Its progress is shown here while it runs."
)
TRAINING_FOLDER = "The folder that it writes to (--output)"
NO_TRAINING = "There is no training in that folder."
TRAINING_EPOCH = "Epoch {epoch} of {epochs}"
LOSS = "Loss"
HIT_RATE = "Hit rate @10"
EPOCH = "Epoch"
