"""Texts of the library page, in one place for translators."""

from __future__ import annotations

TITLE = "Library"

# overview
PICTURES = "Pictures"
PICTURES_HELP = "Distinct pictures; identical files count once."
FILES = "Files"
UNREADABLE = "Unreadable files"
ON_DISK = "On disk"
ON_DISK_HELP = "The size of the library: catalog, vector index and previews, without your pictures."
ON_DISK_HELP_DATABASE = "The size of vector index and previews on this machine. The catalog is in the database."
KEPT_IN = "Stored in {path}"
KEPT_IN_DATABASE = "Stored in {database}; cache in {path}"
INTERRUPTED = "Indexing started on {started} and has not finished. Its progress is saved; index now to continue."

# errors
LOCKED = (
    "Another process is writing to this library, perhaps clipsearch in a terminal. Nothing was changed; try again "
    "later."
)
UNEXPECTED = "Unexpected error: {error}. Earlier progress is saved."
BUSY = "Indexing or migration is already running; wait for it or stop it."

# indexing and migration
INDEX_NOW = "Index now"
INDEX_NOW_HELP = "Scan all roots and index new and changed pictures."
READ_TEXT = "Read text in pictures"
READ_TEXT_HELP = "Read receipts, signs, screenshots and documents, so that searches find their words."
TEXT_READ = "Text was looked for in {read} of {total}; {found} have some."
TEXT_DONE = "Read {read} in {time}; {found} have text."
STOP = "Stop"
STOPPING = "Stopping…"
STOPPING_NOTE = "Finishing the current batch. Progress is saved."
PREPARING = {
    "index": "Loading the model and scanning the roots…",
    "migrate": "Loading the new model…",
    "text": "Looking for pictures with text…",
}
WORKING = {
    "index": "Indexing: {done} of {total} pictures",
    "migrate": "Migrating: {done} of {total} pictures",
    "text": "Reading text: {done} of {total} pictures",
}
FITTING = "Refitting concepts: {done} of {total}"
RATE = "{rate} images/s"
TIME_LEFT = "about {time} left"
FINISHING = "Updating the vector index…"
STOPPED = {
    "index": "Indexing stopped. Progress is saved; index again to continue.",
    "migrate": "Migration stopped. Searches use the old model; start it again to continue.",
    "text": "Reading stopped. Progress is saved; start it again to continue.",
}
INDEXED = "Indexed {count} in {time}."
INDEXED_DETAILS = {
    "unchanged": "{count} unchanged",
    "sidecars": "{count} with changed sidecars",
    "moved": "{count} moved",
    "removed": "{count} removed",
    "missing": "{count} missing but kept, because they are more than half of a root",
    "failures": "{count} failed",
    "offline": "{count} offline",
}
NOTHING_NEW = "The library is up to date."
MIGRATED = "Searches use the new model. Embedded {count} in {time}."
NOT_SWITCHED = (
    "{count} could not be embedded, so searches use the old model. Connect their drives and continue, or switch "
    "without them under Model."
)
MESSAGES = "Messages"
NEW_SINCE = "{count} of the saved search “{name}”"

# sections
FOLDERS = "Roots"
FAILURES = "Unreadable files"
DUPLICATES = "Duplicates"
MODEL = "Model"
SAVED = "Saved searches"

# roots
FOLDERS_TEXT = "Roots are the indexed folders, with their subfolders."
NO_FOLDERS = "No roots yet. Add a folder; your pictures are not changed."
ONLINE = "online"
OFFLINE = "offline"
OFFLINE_HELP = (
    "The drive is not connected, or the folder is missing or empty. Its pictures stay in the library and can be found."
)
EXCLUDE = "Exclude…"
EXCLUDE_TITLE = "Exclude files and folders"
EXCLUDE_TEXT = (
    "One gitignore pattern per line, for example drafts/ or *.png. The last pattern that matches decides. The next "
    "update removes excluded pictures from the library; including them again needs no embedding."
)
EXCLUDE_PATTERNS = "Patterns"
EXCLUDE_DEFAULTS = "Exclude private folders of other programs"
EXCLUDE_BUTTON = "Save"
EXCLUDE_DONE = "Saved. It takes effect with the next update."
MOVED = "Relocate…"
MOVED_TITLE = "Relocate this root"
MOVED_WHERE = "New path"
MOVED_TEXT = "Changes the path in the library. The pictures are not indexed again."
MOVED_BUTTON = "Relocate"
MOVED_DONE = "Root relocated."
REMOVE = "Remove…"
REMOVE_TITLE = "Remove this root from the library"
REMOVE_TEXT = "Removes {count} from the library, not from disk."
REMOVE_BUTTON = "Remove root"
REMOVE_DONE = "{count} removed from the library."
CANCEL = "Cancel"
ADD_FOLDER = "Add a folder"
ADD_FOLDER_HELP = "The full path on this computer. Subfolders are included."
ADD_FOLDER_BUTTON = "Add and index"
NO_SUCH_FOLDER = "The folder {path} does not exist."

# unreadable files
NO_FAILURES = "No unreadable files."
FAILURES_TEXT = "These files are skipped until they change."
FAILURES_FILTER = "Filter by name, folder or reason"
FAILURES_SHOWN = "{shown} of {count}"
FAILURES_TABLE = "Unreadable files, with the reason"
FAILURE_FILE = "File"
FAILURE_FOLDER = "Folder"
FAILURE_REASON = "Reason"
FAILURE_WHEN = "Time"
RETRY = "Retry all"
RETRY_HELP = "Read these files again, for example after an update."

# model
NO_MODEL = "No model yet. The model is chosen when the first pictures are indexed."
MODEL_IN_USE = "Model: {model}"
MODEL_DETAILS = "{dim} dimensions, {precision}"
SPACES = "Embeddings"
SPACES_TEXT = "The library keeps the embeddings of every model it was indexed with."
SPACE_ACTIVE = "used by searches"
SPACE_READY = "complete, not used by searches"
SPACE_PARTIAL = "incomplete"
SPACE_COUNT = "{embedded} of {total}"
SPACE_PREVIEWS = "{count} from previews, until their root is online"
SPACE_GO_ON = "Continue"
SPACE_USE = "Use this model"
SPACE_SWITCH = "Switch anyway"
SPACE_SWITCH_HELP = "Pictures without an embedding by this model are not found until they are indexed again."
CHANGE_MODEL = "Switch to another model"
CHANGE_MODEL_TEXT = (
    "Embeds every picture with the new model in the background. Searches use the old model until all are done. You "
    "can stop and continue at any time."
)
CHANGE_MODEL_CHOICE = "New model"
CHANGE_MODEL_HELP = (
    "Choose a preset, or type any open_clip model: ARCHITECTURE/WEIGHTS, hf-hub:ORGANIZATION/NAME or local-dir:PATH."
)
CHANGE_MODEL_PLACEHOLDER = "Choose or type a model"
CHANGE_MODEL_BUTTON = "Start migration"
PRESET = "{name}: {description}"
PRESET_DOWNLOAD = "{name}: {description} ({size} MB download)"

# duplicates
DUPLICATES_TEXT = (
    "Duplicate pictures: identical files, re-encoded or resized pictures, and near-duplicates. Files that you select "
    "are moved to the trash after you confirm."
)
LOOK_FOR_DUPLICATES = "Find duplicates"
LOOK_AGAIN = "Find again"
LOOKING = "Comparing the pictures…"
OUTDATED = "The library has changed since this search."
NO_DUPLICATES = "No duplicates."
NO_DUPLICATES_OF_KIND = "No duplicates of this kind."
DUPLICATE_KINDS = "Show"
KINDS = {"identical": "Identical files", "same": "Re-encoded or resized", "near": "Near-duplicates"}
DUPLICATES_COUNT = "{groups}; {size} in all files but the best."
GROUP = "{kind}: {count}"
BEST = "best"
BEST_REASON = "Suggested to keep: {reason}"
TAKEN = "taken {date}"
MODIFIED = "changed {date}"
CHOOSE = "Move to trash"
CHOOSE_OTHERS = "Select all but the best on this page"
CHOOSE_NONE = "Clear selection"
HINDRANCES = {
    "offline": "offline",
    "link": "a link to another file",
    "gone": "missing",
    "changed": "changed since it was indexed; index it first",
}
NOT_IN_LIBRARY = "No longer in the library"
NO_PREVIEW = "no preview"
PREVIEW_OF = "Preview of {name}"
TRASH_BUTTON = "Move {count} to the trash…"
TRASH_NONE = "No files selected"
TRASH_TITLE = "Move to the trash?"
TRASH_TEXT = "{count}, {size} in total:"
TRASH_WHOLE_GROUP = "Every file of {count} is selected: no copy would remain."
TRASH_CONFIRM = "Move to the trash"
TRASH_DONE = "{count} moved to the trash."

# saved searches
NO_SAVED = "No saved searches yet."
SAVED_TEXT = "After indexing, new matches of saved searches are shown here."
SAVED_RUN = "Search"
SAVED_NEW = "{count} new"
SAVED_SHOW_NEW = "Show new matches"
SAVED_REMOVE = "Remove"
SAVED_REMOVED = "“{name}” removed."
NEW_FOR = "New matches of “{name}”"
NEW_NONE = "No new matches of “{name}”."
NEW_CLOSE = "Close"
SAVE_SEARCH = "Save a search"
SAVE_NAME = "Name"
SAVE_QUERY = "Query"
SAVE_QUERY_HELP = "As in the search box: text, pictures and filters."
SAVE_REPLACE = "Replace a saved search of the same name"
SAVE_BUTTON = "Save"
SAVE_DONE = "Saved as “{name}”."
