"""The containers in which pictures carry metadata: TIFF tags (EXIF), IPTC records, XMP packets.

Files come from anywhere, so that nothing here trusts a length, an offset or a text: what is malformed is left
out, and no function raises because of what a file says.
"""
