"""What the web page and the server for other programs share: sockets, who may ask, how pictures are kept."""
