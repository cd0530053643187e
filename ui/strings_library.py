"""Every English text of the library page, in one place for translators."""

from __future__ import annotations

TITLE = "Library"

# what it holds
PICTURES = "Pictures"
PICTURES_HELP = "Distinct ones: exact copies are counted once."
FILES = "Files"
UNREADABLE = "Could not be read"
ON_DISK = "On disk"
ON_DISK_HELP = "What the library itself takes: the catalog, the index and the previews. Your pictures are not in it."
ON_DISK_HELP_DATABASE = "What this machine keeps of it: the index and the previews. The catalog is in the database."
KEPT_IN = "Kept in {path}"
KEPT_IN_DATABASE = "Kept in {database}; what this machine has computed from it in {path}"
INTERRUPTED = (
    "The indexing that began on {begun} did not come to its end. What it had done is kept; index now to carry on."
)

# errors
LOCKED = (
    "Something else is writing to this library at the moment, perhaps clipsearch in a terminal. Nothing was changed; "
    "try again when it is done."
)
UNEXPECTED = "Something went wrong that should not have: {error}. What was done before is kept."
BUSY = "Other work is still going on; wait for it, or stop it, and try again."

# work
INDEX_NOW = "Index now"
INDEX_NOW_HELP = "Looks through all folders; only what is new or has changed is read."
STOP = "Stop"
STOPPING = "Stopping…"
STOPPING_NOTE = "Stopping: the pictures in hand are put down. All that was finished is kept."
PREPARING = {
    "index": "Getting ready: the model is loaded, and the folders are looked through.",
    "migrate": "Getting ready: the new model is loaded.",
}
WORKING = {
    "index": "Indexing: {done} of {total} pictures",
    "migrate": "Embedding with the new model: {done} of {total} pictures",
}
FITTING = "Fitting the concepts for the new model: {done} of {total}"
RATE = "{rate} images/s"
TIME_LEFT = "about {time} left"
FINISHING = "Finishing: the search index is brought up to date."
STOPPED = {
    "index": "Indexing was stopped. What was done is kept, and can be found; index again to carry on.",
    "migrate": "The change of the model was stopped. Searches use the old model; begin again to carry on.",
}
INDEXED = "Indexed {count} in {time}."
INDEXED_DETAILS = {
    "unchanged": "{count} unchanged",
    "moved": "{count} moved or renamed",
    "removed": "{count} removed",
    "missing": "{count} gone but kept, as that may be a mistake",
    "failures": "{count} could not be read",
    "offline": "{count} offline",
}
NOTHING_NEW = "Everything is up to date."
MIGRATED = "Searches use the new model now; {count} embedded in {time}."
NOT_SWITCHED = (
    "{count} could not be embedded with the new model, so searches still use the old one. Plug their drives in and "
    "go on, or switch without them under Model."
)
MESSAGES = "What it had to say"
NEW_SINCE = "New since you last looked: {count} for “{name}”"

# sections
FOLDERS = "Folders"
FAILURES = "Could not be read"
DUPLICATES = "Duplicates"
MODEL = "Model"
SAVED = "Saved searches"

# folders
NO_FOLDERS = "There are no folders in this library yet. Add one: your pictures are only read, never changed."
ONLINE = "online"
OFFLINE = "offline"
OFFLINE_HELP = (
    "The drive is not plugged in, or the folder is gone or empty. Its pictures are still found, and nothing of it is "
    "forgotten."
)
MOVED = "It moved…"
MOVED_TITLE = "This folder is elsewhere now"
MOVED_WHERE = "Where it is now"
MOVED_TEXT = "No picture is read again; the library only learns where they are."
MOVED_BUTTON = "Remember the new place"
MOVED_DONE = "The new place is remembered."
REMOVE = "Remove…"
REMOVE_TITLE = "Remove this folder from the library"
REMOVE_TEXT = "The library forgets {count} in it. The files themselves are not touched."
REMOVE_BUTTON = "Forget this folder"
REMOVE_DONE = "{count} forgotten."
CANCEL = "Cancel"
ADD_FOLDER = "Add a folder"
ADD_FOLDER_HELP = "Its full path on this computer. Folders inside of it are included."
ADD_FOLDER_BUTTON = "Add and index"
NO_SUCH_FOLDER = "There is no folder {path}."

# failures
NO_FAILURES = "Every picture could be read."
FAILURES_TEXT = "These files are passed over until they change. The rest of the library does not suffer from them."
FAILURES_FILTER = "Show only those with this in their name, folder or reason"
FAILURES_SHOWN = "{shown} of {count}"
FAILURES_TABLE = "Files that could not be read, with the reason"
FAILURE_FILE = "File"
FAILURE_FOLDER = "Folder"
FAILURE_REASON = "Reason"
FAILURE_WHEN = "Found"
RETRY = "Try them again"
RETRY_HELP = "Reads them once more, for instance after a drive was repaired."

# model
NO_MODEL = "No model is chosen yet: that happens when the first pictures are indexed."
MODEL_IN_USE = "In use: {model}"
MODEL_DETAILS = "{dim} dimensions, embedded as {precision}"
SPACES = "Embeddings"
SPACES_TEXT = "Each model sees pictures in its own way. The library keeps what every model has seen."
SPACE_ACTIVE = "used by searches"
SPACE_READY = "complete, not used"
SPACE_PARTIAL = "not complete"
SPACE_COUNT = "{embedded} of {total}"
SPACE_PREVIEWS = "{count} of them from previews, until their drive is there again"
SPACE_GO_ON = "Go on"
SPACE_USE = "Use this model"
SPACE_SWITCH = "Switch without the rest"
SPACE_SWITCH_HELP = "What this model has not embedded is not found any more, until its files are indexed again."
CHANGE_MODEL = "Change the model"
CHANGE_MODEL_TEXT = (
    "Every picture is embedded again with the new model, in the background. Searches use the old one until all is "
    "done, and you can stop and go on at any time."
)
CHANGE_MODEL_CHOICE = "New model"
CHANGE_MODEL_HELP = (
    "Choose one, or type the name of any open_clip model: ARCHITECTURE/WEIGHTS, hf-hub:ORGANISATION/NAME or "
    "local-dir:PATH."
)
CHANGE_MODEL_PLACEHOLDER = "Choose a model or type a name"
CHANGE_MODEL_BUTTON = "Begin"
PRESET = "{name}: {description}"
PRESET_DOWNLOAD = "{name}: {description} ({size} MB to download once)"

# duplicates
DUPLICATES_TEXT = (
    "Pictures that are there more than once: exact copies, the same picture saved again, and crops, turns and edits. "
    "Nothing is deleted unless you choose it and confirm it, and then it goes to the trash, from where you can take "
    "it back."
)
LOOK_FOR_DUPLICATES = "Look for duplicates"
LOOK_AGAIN = "Look again"
LOOKING = "Comparing the pictures…"
OUTDATED = "The library has changed since these were found."
NO_DUPLICATES = "No picture is there more than once."
NO_DUPLICATES_OF_KIND = "There are no duplicates of this kind."
DUPLICATE_KINDS = "Show"
KINDS = {"identical": "Exact copies", "same": "Same picture, saved again", "near": "Crops, turns and edits"}
DUPLICATES_COUNT = "{groups}; all but the best of each take {size}."
GROUP = "{kind}: {count}"
BEST = "best"
BEST_REASON = "Suggested to be kept: {reason}"
TAKEN = "taken {date}"
MODIFIED = "changed {date}"
CHOOSE = "To the trash"
CHOOSE_OTHERS = "Choose all but the best on this page"
CHOOSE_NONE = "Choose none"
HINDRANCES = {
    "offline": "its drive is not there",
    "link": "a link to another file",
    "gone": "not there any more",
    "changed": "changed since it was indexed; index it first",
}
NOT_IN_LIBRARY = "Not in the library any more"
NO_PREVIEW = "no preview"
PREVIEW_OF = "Preview of {name}"
TRASH_BUTTON = "Move {count} to the trash…"
TRASH_NONE = "Nothing is chosen"
TRASH_TITLE = "Move to the trash?"
TRASH_TEXT = "{count}, {size} altogether:"
TRASH_WHOLE_GROUP = "Of {count}, every version is chosen: none would be left in your folders."
TRASH_CONFIRM = "Move to the trash"
TRASH_DONE = "{count} moved to the trash."

# saved searches
NO_SAVED = "No search is saved yet."
SAVED_TEXT = "Searches kept by name. After indexing, clipsearch tells what is new in them."
SAVED_RUN = "Search"
SAVED_NEW = "{count} new"
SAVED_SHOW_NEW = "Show what is new"
SAVED_REMOVE = "Remove"
SAVED_REMOVED = "“{name}” is forgotten."
NEW_FOR = "New for “{name}”"
NEW_NONE = "Nothing new for “{name}”."
NEW_CLOSE = "Close"
SAVE_SEARCH = "Save a search"
SAVE_NAME = "Name"
SAVE_QUERY = "What to look for"
SAVE_QUERY_HELP = "As in the search box: words, pictures and filters."
SAVE_REPLACE = "Take the place of a search with the same name"
SAVE_BUTTON = "Save"
SAVE_DONE = "Saved as “{name}”."
