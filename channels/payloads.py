"""Payloads of buttons that the gateway answers itself; every other payload is for Rasa."""

SAY = "gateway:say:"  # begins the payload of a button that is answered with that sentence of texts.py
PERSON = "gateway:person"  # of the button that asks for a person; works while Rasa is down
PLAN = "gateway:plan:"  # begins the payload of the buttons under a plan of the desk
BACK = "gateway:back"  # of the button of a waiting shopper who would rather go on with the bot
