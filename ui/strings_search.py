"""Every English text of the search page and the picture view, in one place for translators."""

from __future__ import annotations

# the box
BOX = "Search your pictures"
BOX_PLACEHOLDER = "what is in the picture, a filter, or both"
BOX_HELP = (
    "Words, quoted texts, `-without`, `2:weights`, `~#pictures` and filters such as `date:2021` or `folder:Crete`. "
    "Press / to come here from anywhere."
)
EXAMPLES_TITLE = "For example"
EXAMPLES = (
    "two dogs playing in the snow",
    "sunset over the sea",
    "beach -people",
    '2:"red bicycle" street',
    "children orientation:portrait",
    "food date:2021..",
)
UPLOAD = "Search by pictures: choose, drop or paste"
UPLOAD_LIMIT = "Up to {count} pictures at once; the others were left out."
UPLOADED = "Like the picture {name}"
REMOVE_UPLOADS = "Remove"
PART = "Like a part of the picture: {box}"
WHOLE_PICTURE = "Look for the whole picture"

# results
SEARCHING = "Searching…"
NEWEST = "Newest pictures"
RESULTS = "Results"
AMONG = "among {files}"
PAGE = "Page {page}"
PREVIOUS_PAGE = "Previous page"
NEXT_PAGE = "Next page"
SORT = "Order"
SORT_HELP = "Matches can be put in order of date or path; pages then go on from each other."
SORTS = {"score": "Best first", "date": "Newest first", "path": "By path"}
SORTS_OF_FILTERS = {"score": "Newest first", "path": "By path"}
ORDERED = {
    "matches": "Strong and possible matches only, the best {count} at most, are in this order.",
    "nearest": "The best {count} are in this order.",
}
FOLD = "Fold versions"
FOLD_HELP = "One result for all versions of a picture: re-saved, resized, lightly cropped or edited. Copies always are."
SAVE_THIS = "Save this search"
SAVE_NOT_THIS = "Pictures that were handed over, and parts of pictures, cannot be saved in a search."
CLEAR = "Clear the search"
REMOVE_FILTER = "Remove the filter {filter}"

# of a result
STRONG = "strong"
POSSIBLE = "possible"
OFFLINE = "offline"
COPIES = ("1 copy more", "{count} copies more")
VERSIONS = ("1 version more", "{count} versions more")
PART_MARK = "part"
NO_PREVIEW = "no preview; its drive is not there"
NO_DATE = "date unknown"
ALT_TAKEN = "taken {date}"
ALT_MATCH = {"strong": "strong match", "possible": "possible match", "none": "weak match"}
ALT_OFFLINE = "its drive is not there"

# no results
NO_STRONG = "No strong match. The nearest pictures are:"
NOTHING_PASSES = "No picture passes these filters together."
WOULD_PASS = "There are some without"
NOTHING_MORE = "There are no more results on this page."
EMPTY_LIBRARY = "There are no pictures here yet"
EMPTY_LIBRARY_TEXT = "Add folders on the Library page; what is indexed can be searched at once."
EMPTY_ON_SERVER = "Where the server is, folders are added with: clipsearch index FOLDER"
SOME_OFFLINE = "Some of these pictures are on a drive that is not there; you see their previews."

# errors
FILTERS_WRONG = "The filters of this address are wrong: {error}"
CLEAR_FILTERS = "Clear all filters"

# filters
FILTERS = "Filters"
DATE = "Taken"
DATE_CHART = "Pictures per month, from {first} to {last}"
UNDATED = "{count} without a date"
FIELDS = {
    "camera": "Camera",
    "lens": "Lens",
    "folder": "Folder",
    "root": "Indexed folder",
    "ext": "Format",
    "orientation": "Shape",
    "keyword": "Keyword",
    "tag": "Tag",
    "status": "Drive",
}
CHOOSE = "any"
RATING = "Rating"
RATING_AT_LEAST = "{stars} or more"
RATING_ANY = "any"
NEAR = "Near a place"
NEAR_HELP = "Latitude, longitude and distance: 35.3,25.1,20km. A picture with a place fills it in."
LOCATED = "{files} with a place"

# the picture view
BACK = "Back to results"
PREVIOUS = "Previous"
NEXT = "Next"
NOT_THERE = "This picture is not in the library any more."
NO_PICTURE = "This picture cannot be shown: its drive is not there, and there is no preview."
PREVIEW_ONLY = "Its drive is not there: this is the library's preview."
SELECT_PART = "Select a part"
SELECT_HINT = "Draw a box in the picture, or write it in percent of the picture's width and height."
BOX_SIDES = {"x": "left", "y": "top", "width": "width", "height": "height"}
LIKE_PART = "More like this part"
CANCEL = "Cancel"
LIKE = "More like this"
ADD = "Add to query"
ADD_HELP = "Look for what you look for now, and for this picture besides."
SUBTRACT = "Subtract from query"
SUBTRACT_HELP = "Look for what you look for now, and keep away from pictures like this."
WHY = "Why it matched"
SCORE = "similarity {score:.3f}"
WHY_MATCH = {
    "strong": "A strong match: if this is the best, the library holds what you look for with {percent}% probability.",
    "possible": "A possible match: if this is the best, the library holds it with {percent}% probability.",
    "none": "Not a match by itself ({percent}%), but among the nearest there are.",
}
WHY_PICTURE = "How alike pictures are is told by the similarity only."
SHOW_WHERE = "Show where"
SHOW_WHERE_HELP = "Covers up one part of the picture after the other to see which ones count; takes a few seconds."
HEAT = "Bright is what the match goes by, dark what it does not depend on."
HEAT_FROM_PREVIEW = "Found in the small preview, as the drive is not there."
FILES = "Files"
FILE_OFFLINE = "drive not there"
COPY_PATH = "Copy path"
COPIED = "Copied."
OPEN_FOLDER = "Open folder"
OTHER_VERSIONS = "Other versions of it"
DETAILS = "Details"
TAGS = "Tags"
PLACE = "Place"
SEARCH_NEAR = "Pictures from near here"
FACTS = {
    "taken": "Taken",
    "title": "Title",
    "caption": "Caption",
    "camera": "Camera",
    "lens": "Lens",
    "exposure": "Exposure",
    "focal": "Focal length",
    "iso": "ISO",
    "rating": "Rating",
    "keywords": "Keywords",
    "place": "Place",
    "altitude": "Altitude",
    "size": "Size",
    "file": "File size",
    "changed": "Changed",
    "id": "Content",
}
EQUIVALENT = "{focal} mm ({film} mm on 35 mm film)"
FOCAL = "{focal} mm"
REJECTED = "rejected"
