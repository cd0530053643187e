"""Texts of the frame of the web page, in one place for translators; each page has a module like this one."""

from __future__ import annotations

APP = "clipsearch"
SEARCH_PAGE = "Search"
EXPLORE_PAGE = "Explore"
LEARN_PAGE = "Learn"
LIBRARY_PAGE = "Library"

WELCOME = "Search your pictures by what they show"
WELCOME_TEXT = (
    "clipsearch indexes the pictures in your folders, so that you can find them by text or by an example picture. "
    "Everything stays on this computer: nothing is uploaded, and your files are not changed."
)

CHOOSE_FOLDERS = "Index your pictures"
FOLDERS = "Folders, one per line"
FOLDERS_HELP = "Subfolders are included."
INDEX_BUTTON = "Index these folders"
NO_FOLDER = "Enter at least one folder."
NOT_A_FOLDER = "The folder {path} does not exist."
LIBRARY_GOES_TO = "The library will be stored in {path}."

TRY_DEMO = "Try the demo"
TRY_DEMO_TEXT = (
    "The demo indexes a few photographs that come with clipsearch, in seconds. Your own library is not changed."
)
DEMO_BUTTON = "Start the demo"
IN_DEMO = "This is the demo library."
LEAVE_DEMO = "Leave the demo"

ON_SERVER = "Library on {url}. Manage its roots, concepts and models on the server."

INDEXING = "Indexing"
STARTING = "Loading the model and scanning the folders…"
SEARCH_NOW = "Search now"
STOP = "Stop"
NOTHING_READABLE = "None of the pictures in these folders could be read: {count}."
RETRY = "Retry"
RETRY_HELP = "Read these files again, or choose other folders below."
NOTHING_FOUND = "No pictures in these folders."

SCRIPT_ERROR = "Unexpected error: {error}. See the output of clipsearch ui for the traceback."
PROGRESS = "{done:,} of {total:,} files"

WRONG_ORIGIN = "This address is not allowed. Open the address that clipsearch ui printed.\n"
TOKEN_NEEDED = "Access token required: open this address with ?token=TOKEN.\n"
NOT_A_PICTURE_OF_THE_LIBRARY = (
    "{path} is not in the library; on a shared page, upload the picture instead: choose, drop or paste it."
)
NO_SUCH_PICTURE = "The picture is not in the library, or cannot be read.\n"
