"""The web chat.

    access.py      which pages may ask, who the shopper is
    connection.py  open pages, counted
    frames.py      what a page says and is answered
    files.py       pictures and recordings
    replies.py     answers and refusals over HTTP
    channel.py     the door itself: WebSocket, event stream with POST

The protocol: docs/web-chat.md.
"""
