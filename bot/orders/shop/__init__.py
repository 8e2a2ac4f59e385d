"""The demo shop: the order API of `openapi.yaml` over SQLite, with data of its own.

For trying Kefu and for its tests. It imports nothing of Kefu but the models, the settings and the
errors' names, because a real shop would not have more either.
"""
