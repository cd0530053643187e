"""Every English text of the page's frame, in one place for translators; each page has a module like this one."""

from __future__ import annotations

APP = "clipsearch"
SEARCH_PAGE = "Search"
EXPLORE_PAGE = "Explore"
LEARN_PAGE = "Learn"
LIBRARY_PAGE = "Library"

WELCOME = "Find your photos by what is in them"
WELCOME_TEXT = (
    "clipsearch looks at every picture in your folders once and remembers what it shows, so that you can find it by "
    "words or by another picture. Everything stays on this computer: nothing is uploaded, and indexing changes none of "
    "your files."
)

CHOOSE_FOLDERS = "Your own pictures"
FOLDERS = "Folders to index, one on each line"
FOLDERS_HELP = "Folders inside of them are included. Pictures are only read."
INDEX_BUTTON = "Index these folders"
NO_FOLDER = "Name at least one folder."
NOT_A_FOLDER = "There is no folder {path}."
LIBRARY_GOES_TO = "The library is kept in {path}."

TRY_DEMO = "No pictures at hand?"
TRY_DEMO_TEXT = (
    "The demo takes a few photographs that come with clipsearch, indexes them in seconds, and lets you search."
)
DEMO_BUTTON = "Try the demo"
IN_DEMO = "You are looking at the demo's photographs."
LEAVE_DEMO = "Leave the demo"

ON_SERVER = "The library of {url}, where its folders, its concepts and its maps are looked after."

INDEXING = "Indexing"
STARTING = "Getting ready: the model is loaded, and the folders are looked through."
SEARCH_NOW = "Search what is there so far"
STOP = "Stop"
NOTHING_READABLE = "There are pictures in these folders, but none could be read: {count}."
RETRY = "Try them again"
RETRY_HELP = "Reads them once more, for instance after a drive was repaired. Or choose other folders below."
NOTHING_FOUND = "There are no pictures in these folders."

SCRIPT_ERROR = "Something went wrong that nobody foresaw ({error}). What led to it is in the output of clipsearch ui."
PROGRESS = "{done:,} of {total:,} files"

WRONG_ORIGIN = "This address is refused. Open the one that clipsearch ui has printed.\n"
TOKEN_NEEDED = "An access token is needed: open this address with ?token= and the token behind it.\n"
NOT_A_PICTURE_OF_THE_LIBRARY = (
    "{path} is not in the library; on a page that others can open, hand such a picture over instead: choose, drop or "
    "paste it."
)
NO_SUCH_PICTURE = "The library has no such picture, or it cannot be read now.\n"
