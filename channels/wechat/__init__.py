"""WeChat Official Accounts (公众号, 服务号; mini-program customer messages come in the same envelope).

    envelope.py   signatures and encryption: the platform's letters
    allowance.py  how many messages the platform still lets us send
    api.py        the platform's REST interface, through a guarded wechatpy client
    channel.py    the door itself

Rules and numbers: docs/wechat.md.
"""
