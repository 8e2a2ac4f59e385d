"""WeCom customer service (微信客服).

    api.py        the platform's REST calls
    channel.py    the door itself

Rules and numbers: docs/wecom.md.
"""
