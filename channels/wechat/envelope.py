"""WeChat's letters: who sealed them, what is inside, and how to seal an answer.

Signature and AES as in Tencent's "message push" pages (sha1 over the sorted parts; AES-256-CBC with the
key's first 16 bytes as IV, PKCS#7 with block 32). wechatpy does the cipher; what it leaves open is closed
here: comparison in constant time, an empty token, keys of the wrong length, plain letters to an account in
safe mode, old letters, a random prefix from a generator meant for secrets.
This module knows neither HTTP nor what a message means.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import xmltodict
from wechatpy.crypto import PrpCrypto

from bot.exceptions import ChannelError, SettingsError

Mode = Literal["plain", "compatible", "safe"]

# Retries re-send the same timestamp, so the window is generous; it only stops letters of another day.
FRESH = 600  # seconds


class LetterRefused(ChannelError):
    """Not from the platform, not for us, or not readable. `status` is the HTTP status to answer with."""

    def __init__(self, message: str, *, status: int = 403) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Letter:
    """An opened push: its fields as the platform named them, and the key that opened it (None: plain)."""

    fields: dict[str, Any]
    key: bytes | None
    as_json: bool


class _Cipher(PrpCrypto):
    def get_random_string(self) -> str:
        # wechatpy draws the prefix with random.sample, which is predictable and never repeats a letter.
        return secrets.token_hex(8)


def read_key(text: str, setting: str) -> bytes:
    """An EncodingAESKey as bytes.

    Raises:
        SettingsError: it is not 43 characters of base64; names the setting.
    """
    if len(text) != 43:
        raise SettingsError(f"{setting} has {len(text)} characters; an EncodingAESKey has 43. Copy it again.")
    try:
        key = base64.b64decode(text + "=", validate=True)
    except binascii.Error as exc:
        raise SettingsError(f"{setting} is not base64: copy the EncodingAESKey again.") from exc
    assert len(key) == 32, "43 characters of base64 are 32 bytes"
    return key


def signature(*parts: str) -> str:
    """sha1, lower-case hex, over the concatenation of the sorted parts."""
    return hashlib.sha1("".join(sorted(parts)).encode()).hexdigest()  # noqa: S324 -- the platform's choice


def _same(given: str | None, expected: str) -> bool:
    return hmac.compare_digest((given or "").encode(), expected.encode())


class Envelope:
    """Opens and seals the letters of one account."""

    def __init__(
        self,
        token: str,
        receiver: str,
        *,
        mode: Mode = "safe",
        keys: tuple[bytes, ...] = (),
        fresh: int = FRESH,
    ) -> None:
        """`receiver` is the appid (or corpid); `keys` the current EncodingAESKey and the one before.

        Raises:
            SettingsError: the token is empty (anybody could sign then), or encryption lacks its key.
        """
        if not token:
            raise SettingsError(f"The token of {receiver} is empty: anybody could sign. Set it.")
        if mode != "plain" and not keys:
            raise SettingsError(f"{receiver} is in {mode} mode and has no aes_key: copy the EncodingAESKey.")
        self._token = token
        self._receiver = receiver
        self._mode = mode
        self._keys = keys
        self._fresh = fresh

    def verify_url(self, query: Mapping[str, str]) -> str:
        """The echo for the platform's check of our address.

        An Official Account sends it in the open and signs timestamp and nonce; WeCom encrypts it.

        Raises:
            LetterRefused: a parameter is missing or the signature is wrong.
        """
        echo = query.get("echostr")
        if not echo or "timestamp" not in query or "nonce" not in query:
            raise LetterRefused("The address check lacks echostr, timestamp or nonce", status=400)
        if "msg_signature" in query:
            self._check_sealed(query, echo)
            return self._decrypt(echo)[0]
        self._check_open(query)
        return echo

    def check_query(self, echo: str) -> dict[str, str]:
        """What the platform would ask our address with: sealed when there is a key, so that it is tried as well."""
        stamp, nonce = str(int(time.time())), "doctor"
        if not self._keys:
            sign = signature(self._token, stamp, nonce)
            return {"timestamp": stamp, "nonce": nonce, "echostr": echo, "signature": sign}
        sealed = _Cipher(self._keys[0]).encrypt(echo, self._receiver).decode()
        sign = signature(self._token, stamp, nonce, sealed)
        return {"timestamp": stamp, "nonce": nonce, "echostr": sealed, "msg_signature": sign}

    def open(self, query: Mapping[str, str], body: bytes, *, now: float | None = None) -> Letter:
        """What the platform wrote.

        Raises:
            LetterRefused: wrong or old signature, plain where it must be sealed, not for us, unreadable.
        """
        self._check_time(query, time.time() if now is None else now)
        sealed = query.get("encrypt_type", "raw") == "aes" or "msg_signature" in query
        if not sealed:
            if self._mode == "safe":
                raise LetterRefused("A plain letter to an account in safe mode")
            self._check_open(query)
            fields, as_json = _parse(body)
            return Letter(fields, None, as_json)
        if not self._keys:
            raise LetterRefused("A sealed letter to an account without an aes_key")
        # In compatible mode the open copy stands beside the sealed one, and its signature does not cover
        # the body: only the sealed copy is read.
        outer, as_json = _parse(body)
        encrypted = outer.get("Encrypt") or outer.get("encrypt")
        if not isinstance(encrypted, str):
            raise LetterRefused("A sealed letter without its Encrypt field", status=400)
        self._check_sealed(query, encrypted)
        text, key = self._decrypt(encrypted)
        fields, _ = _parse(text.encode())
        return Letter(fields, key, as_json)

    def seal(self, text: str, nonce: str, key: bytes | None, *, as_json: bool = False) -> str:
        """A passive reply as the platform expects it: sealed with the key that opened the push.

        The nonce is the one of the push's address.
        """
        if key is None:
            return text
        timestamp = str(int(time.time()))
        encrypted = _Cipher(key).encrypt(text, self._receiver).decode()
        sign = signature(self._token, timestamp, nonce, encrypted)
        if as_json:
            return json.dumps(
                {"Encrypt": encrypted, "MsgSignature": sign, "TimeStamp": int(timestamp), "Nonce": nonce}
            )
        return (
            f"<xml><Encrypt><![CDATA[{encrypted}]]></Encrypt><MsgSignature><![CDATA[{sign}]]></MsgSignature>"
            f"<TimeStamp>{timestamp}</TimeStamp><Nonce><![CDATA[{cdata(nonce)}]]></Nonce></xml>"
        )

    def _check_open(self, query: Mapping[str, str]) -> None:
        expected = signature(self._token, query.get("timestamp", ""), query.get("nonce", ""))
        if not _same(query.get("signature"), expected):
            raise LetterRefused("The signature is wrong")

    def _check_sealed(self, query: Mapping[str, str], encrypted: str) -> None:
        expected = signature(self._token, query.get("timestamp", ""), query.get("nonce", ""), encrypted)
        if not _same(query.get("msg_signature"), expected):
            raise LetterRefused("The msg_signature is wrong")

    def _check_time(self, query: Mapping[str, str], now: float) -> None:
        stamp = query.get("timestamp", "")
        if not re.fullmatch(r"[0-9]{1,12}", stamp):
            raise LetterRefused("The letter has no timestamp", status=400)
        if abs(now - int(stamp)) > self._fresh:
            raise LetterRefused("The letter is too old; if all are, this machine's clock is wrong")

    def _decrypt(self, encrypted: str) -> tuple[str, bytes]:
        """Try the current key and the one before. wechatpy raises many kinds for one broken letter."""
        for key in self._keys:
            try:
                return _Cipher(key).decrypt(encrypted, self._receiver), key
            except Exception:  # noqa: S112 -- five error kinds of three libraries mean: not with this key
                continue
        raise LetterRefused("The letter cannot be decrypted, or it is another account's")


def _parse(body: bytes) -> tuple[dict[str, Any], bool]:
    """Fields of an XML or JSON push, and whether it was JSON."""
    try:
        text = body.decode()
        if text.lstrip().startswith("{"):
            fields = json.loads(text)
            if not isinstance(fields, dict):
                raise ValueError("not an object")
            return fields, True
        document = xmltodict.parse(text)  # refuses entities, which is what keeps bombs out
        fields = document.get("xml")
        if not isinstance(fields, dict):
            raise ValueError("no <xml> element")  # noqa: TRY004 -- the letter is at fault
        return dict(fields), False
    except Exception as exc:
        raise LetterRefused("The letter is not readable XML or JSON", status=400) from exc


# What XML 1.0 cannot carry, not even escaped.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def cdata(text: str) -> str:
    """Text that is safe between <![CDATA[ and ]]>. One character too many and the shopper reads an error."""
    return _NOT_XML.sub("", text).replace("]]>", "]]]]><![CDATA[>")


def text_reply(to: str, sender: str, text: str, *, as_json: bool = False) -> str:
    """A passive text reply."""
    now = int(time.time())
    if as_json:
        reply = {
            "ToUserName": to,
            "FromUserName": sender,
            "CreateTime": now,
            "MsgType": "text",
            "Content": text,
        }
        return json.dumps(reply, ensure_ascii=False)
    return (
        f"<xml><ToUserName><![CDATA[{cdata(to)}]]></ToUserName>"
        f"<FromUserName><![CDATA[{cdata(sender)}]]></FromUserName>"
        f"<CreateTime>{now}</CreateTime><MsgType><![CDATA[text]]></MsgType>"
        f"<Content><![CDATA[{cdata(text)}]]></Content></xml>"
    )


def transfer_reply(to: str, sender: str, account: str | None = None) -> str:
    """A passive reply that gives the shopper to WeChat's own customer-service client.

    `account` names a person there; wechatpy's reply cannot carry it.
    """
    named = f"<TransInfo><KfAccount><![CDATA[{cdata(account)}]]></KfAccount></TransInfo>" if account else ""
    return (
        f"<xml><ToUserName><![CDATA[{cdata(to)}]]></ToUserName>"
        f"<FromUserName><![CDATA[{cdata(sender)}]]></FromUserName>"
        f"<CreateTime>{int(time.time())}</CreateTime>"
        f"<MsgType><![CDATA[transfer_customer_service]]></MsgType>{named}</xml>"
    )
