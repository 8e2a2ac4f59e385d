"""Desks of others: people answer in Chatwoot or in Telegram topics instead of, or beside, Kefu's own page.

adapter.py          what such a desk looks like from inside
bridge.py           keeps one in step with the conversations that want a person
packet.py           the packet as text
chatwoot.py         an API-channel inbox of Chatwoot
telegram_topics.py  one topic per conversation in a group of the team
app.py              puts them into the gateway
"""
