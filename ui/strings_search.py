"""Texts of the search page and the picture view, in one place for translators."""

from __future__ import annotations

from clipsearch.media.metadata.values import Source

# the box
BOX = "Search your pictures"
BOX_PLACEHOLDER = "describe the picture, add filters"
BOX_HELP = (
    "Text, `-without`, `2:weight`, `~#picture`, `@concept` and filters such as `date:2021` or `folder:Crete`. "
    "Press / to focus the search box."
)
EXAMPLES_TITLE = "Examples"
EXAMPLES = (
    "two dogs playing in the snow",
    "sunset over the sea",
    "beach -people",
    '2:"red bicycle" street',
    "children orientation:portrait",
    "food date:2021..",
)
UPLOAD = "Example pictures: choose, drop or paste"
UPLOAD_LIMIT = "Only the first {count} pictures are used."
UPLOADED = "Similar to {name}"
REMOVE_UPLOADS = "Remove"
PART = "Similar to the region {box}"
WHOLE_PICTURE = "Use the whole picture"

# results
SEARCHING = "Searching…"
NEWEST = "Newest pictures"
RESULTS = "Results"
AMONG = "among {files}"
PAGE = "Page {page}"
PREVIOUS_PAGE = "Previous page"
NEXT_PAGE = "Next page"
SORT = "Sort"
SORT_HELP = "Sort the matches by score, date or path."
SORTS = {"score": "Best first", "date": "Newest first", "path": "By path"}
SORTS_OF_FILTERS = {"score": "Newest first", "path": "By path"}
ORDERED = {
    "matches": "Sorted: strong and possible matches, at most {count}.",
    "nearest": "Sorted: the {count} best results.",
}
FOLD = "Group duplicates"
FOLD_HELP = "Show near-duplicates as one result: re-encoded, resized, cropped or edited pictures. Copies always are."
SAVE_THIS = "Save this search"
SAVE_NOT_THIS = "A search with uploaded pictures or a region cannot be saved."
CLEAR = "Clear the search"
REMOVE_FILTER = "Remove the filter {filter}"

# of a result
STRONG = "strong"
POSSIBLE = "possible"
OFFLINE = "offline"
STACK = "with {names}"
COPIES = ("+1 copy", "+{count} copies")
VERSIONS = ("+1 near-duplicate", "+{count} near-duplicates")
PART_MARK = "segment"
NO_PREVIEW = "offline, no preview"
NO_DATE = "no date"
ALT_TAKEN = "taken {date}"
ALT_MATCH = {"strong": "strong match", "possible": "possible match", "none": "no match"}
ALT_OFFLINE = "offline"

# no results
NOTHING_CLEAR = "Nothing in this library clearly shows this. The closest pictures:"
NOTHING_PASSES = "No picture passes these filters."
WOULD_PASS = "There are results without"
UNKNOWN_TAG = "No picture has the tag {tag}. Did you mean {nearest}?"
NOTHING_MORE = "No more results."
EMPTY_LIBRARY = "No pictures yet"
EMPTY_LIBRARY_TEXT = "Add a folder on the Library page."
EMPTY_ON_SERVER = "To add folders, run on the server: clipsearch index FOLDER"
SOME_OFFLINE = "Offline pictures are shown as previews."

# errors
FILTERS_WRONG = "Invalid filters in the address: {error}"
CLEAR_FILTERS = "Clear all filters"

# filters
FILTERS = "Filters"
DATE = "Date"
DATE_CHART = "Pictures per month, from {first} to {last}"
UNDATED = "{count} without a date"
FIELDS = {
    "camera": "Camera",
    "lens": "Lens",
    "place": "Place",
    "folder": "Folder",
    "root": "Root",
    "ext": "Format",
    "orientation": "Orientation",
    "keyword": "Keyword",
    "tag": "Tag",
    "status": "Status",
}
CHOOSE = "any"
RATING = "Rating"
RATING_AT_LEAST = "{stars} or more"
RATING_ANY = "any"
NEAR = "Near a place"
NEAR_HELP = "Latitude, longitude and radius, such as 35.3,25.1,20km."
LOCATED = "{files} with a place"

MOMENT = "{start} of {duration}"
ALT_VIDEO = "video, {moment}"

# the picture view
BACK = "Back to results"
PREVIOUS = "Previous"
NEXT = "Next"
NOT_THERE = "This picture is no longer in the library."
NO_PICTURE = "This picture is offline and has no preview."
PREVIEW_ONLY = "Offline: this is a preview."
SELECT_PART = "Select a region"
SELECT_HINT = "Draw a box in the picture, or enter it in percent of its width and height."
BOX_SIDES = {"x": "left", "y": "top", "width": "width", "height": "height"}
LIKE_PART = "Search similar"
CANCEL = "Cancel"
LIKE = "Search similar"
LIKE_MOMENT = "More like this moment"
PLAYER = "Video"
STRIP = "Frames over time, and how well they match"
CANNOT_PLAY = "This browser cannot play the video; the frames below show it."
OFFLINE_VIDEO = "The video can be played where its library is and while its drive is connected."
ADD = "Add to query"
ADD_HELP = "Add this picture to the query, for results closer to it."
SUBTRACT = "Subtract from query"
SUBTRACT_HELP = "Subtract this picture from the query, for results less like it."
WHY = "Why it matched"
SCORE = "similarity {score:.3f}"
WHY_MATCH = {
    "strong": "Strong match: {share} pictures with this score show it.",
    "possible": "Possible match: {share} pictures with this score show it.",
    "none": "No match: {share} pictures with this score show it.",
}
ABOUT_SHARE = "about {tenths} in 10"
SMALL_SHARE = "fewer than 1 in 10"
LARGE_SHARE = "nearly all"
WHY_PICTURE = "Match probabilities are available for text queries only."
SHOW_WHERE = "Show where"
SHOW_WHERE_HELP = "Highlight the regions that matter for the match; takes a few seconds."
HEAT = "Bright regions contribute to the match, dark ones do not."
HEAT_FROM_PREVIEW = "Computed from the preview, because the picture is offline."
FILES = "Files"
FILE_OFFLINE = "offline"
COPY_PATH = "Copy path"
COPIED = "Copied."
OPEN_FOLDER = "Open folder"
OTHER_VERSIONS = "Duplicates"
DETAILS = "Details"
TEXT = "Text"
MATCHED = {
    "text": "Text: “{excerpt}”",
    "title": "Title: “{excerpt}”",
    "caption": "Caption: “{excerpt}”",
    "keyword": "Keyword: “{excerpt}”",
    "name": "Name: “{excerpt}”",
    "folder": "Folder: “{excerpt}”",
    "place": "Place: {excerpt}",
    "camera": "Camera: “{excerpt}”",
}
TAGS = "Tags"
PLACE = "Place"
SEARCH_NEAR = "Search near this place"
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
    "position": "Coordinates",
    "altitude": "Altitude",
    "video": "Video",
    "size": "Size",
    "file": "File size",
    "changed": "Modified",
    "id": "Content hash",
}
SOURCES = {
    Source.SIDECAR: "XMP sidecar",
    Source.EXIF: "EXIF",
    Source.IPTC: "IPTC",
    Source.XMP: "XMP",
    Source.PNG: "PNG text",
    Source.CONTAINER: "video file",
    Source.TAKEOUT: "Google Takeout",
    Source.NAME: "file name",
}
WITH_SOURCE = "{text} · {source}"
EQUIVALENT = "{focal} mm (35 mm equivalent: {film} mm)"
FOCAL = "{focal} mm"
FRAME_RATE = "{rate} frames/s"
REJECTED = "rejected"
