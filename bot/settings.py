"""Settings of all programs, read once at start.

Shape comes from ``kefu.yml``, secrets from the environment (or ``.env``): every key can be
overridden by ``KEFU_<SECTION>__<KEY>``, for example ``KEFU_GATEWAY__PORT=9000``. Unknown keys
and variables are errors, so that typos are found. Both files and every relative path belong to the
project, wherever a program was started. This module knows no program; it only says what can be set.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings import SettingsError as UnreadableVariable

from bot.exceptions import SettingsError

PROJECT_ROOT = Path(__file__).resolve().parent.parent
ENV_FILE = PROJECT_ROOT / ".env"

# What the code reads beside the settings. Every other KEFU_* variable is a typo.
OWN_VARIABLES = frozenset(
    {
        *("KEFU_SETTINGS", "KEFU_CLOCK_FILE", "KEFU_DESK_PASSWORD", "KEFU_EVAL_DATA"),
        # told to Rasa by `kefu up`
        *("KEFU_ACTIONS_URL", "KEFU_DIALOGUE_URL", "KEFU_DIALOGUE_TOKEN", "KEFU_TRACKER_URL"),
        # scripts
        *("KEFU_TORCH", "KEFU_SETUP_MB", "KEFU_COVERAGE", "KEFU_CHROMIUM"),
        # tests
        *("KEFU_TEST_POSTGRESQL_URL", "KEFU_TEST_REDIS_URL", "KEFU_TEST_PGVECTOR_URL"),
        *("KEFU_REQUIRE_SERVICES", "KEFU_LONG_TESTS", "KEFU_RACES", "KEFU_RACES_SEED", "KEFU_SCREENSHOTS"),
        *("KEFU_CONTRACT_URL", "KEFU_CONTRACT_MODEL", "KEFU_EVAL_ATTACKS"),
    }
)
# What Kubernetes tells every container about a service called kefu or kefu-gateway.
_OF_A_SERVICE = re.compile(r"\w+_SERVICE_(HOST|PORT\w*)=|\w+_PORT=\w+://|\w+_PORT_\d+_(TCP|UDP|SCTP)")


def _in_project(path: Path) -> Path:
    return PROJECT_ROOT / path  # an absolute one stays as it is


# A relative path must not depend on where somebody stood when he started a program.
ProjectPath = Annotated[Path, AfterValidator(_in_project)]


class Section(BaseModel):
    """One block of ``kefu.yml``. Unknown keys are errors."""

    model_config = ConfigDict(extra="forbid")


class Program(Section):
    """Where a program listens. Loopback unless somebody decides otherwise."""

    host: str = "127.0.0.1"
    port: int = Field(ge=0, le=65535)

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"


class ShopSettings(Program):
    """The demo shop."""

    port: int = Field(default=8070, ge=0, le=65535)
    api_key: str = "demo-shop-key"
    faults: bool = False  # lets tests ask for latency, cut connections and the like


class OrderApiSettings(Section):
    """Where Kefu finds the shop's order API."""

    base_url: str | None = None  # None: the demo shop
    api_key: str | None = None  # None: the demo shop's
    adapter: Literal["kefu"] = "kefu"
    timeout: float = Field(default=4.0, gt=0, description="seconds for one call")
    attempts: int = Field(default=3, ge=1, le=10)


class GatewaySettings(Program):
    """The only program that faces the internet."""

    port: int = Field(default=8080, ge=0, le=65535)
    public_url: str | None = None  # as shoppers and platforms reach it; None: its own address
    secret: str | None = None  # signs visitor tokens and media links; None: made once in data_dir
    proxies: int = Field(default=0, ge=0, description="trusted proxies that append to X-Forwarded-For")
    park_after: float = Field(default=600.0, gt=0, description="seconds a message waits for Rasa")
    turn_attempts: int = Field(default=3, ge=1, description="tries when Rasa answers with an error")
    deliver_for: float = Field(
        default=21_600.0, gt=0, description="seconds a reply waits for a platform that cannot be reached"
    )
    concurrency: int = Field(default=64, ge=1, description="turns at a time, over all conversations")
    messages_burst: int = Field(default=8, ge=1, description="messages a shopper may send at once")
    messages_per_second: float = Field(default=1.0, gt=0)
    messages_per_10_minutes: int = Field(default=90, ge=1)
    source_per_10_minutes: int = Field(default=3000, ge=1, description="messages from one network address")
    uploads_per_day: int = Field(default=20, ge=0, description="files a shopper may send")


class MediaSettings(Section):
    """Files shoppers send. The file system, or an S3-compatible store when `bucket` is set."""

    path: ProjectPath | None = None  # None: media/ in data_dir
    bucket: str | None = None
    endpoint: str | None = None  # of the S3-compatible store; None: AWS
    region: str | None = None
    access_key: str | None = None
    secret_key: str | None = None
    max_bytes: int = Field(default=10 * 1024 * 1024, gt=0)
    link_life: int = Field(default=3600, gt=0, description="seconds for which a link to a file is good")


class SiteSettings(Section):
    """A site that shows the web chat and may vouch for its signed-in customers.

    The vouching is a JWT (HS256) signed with `secret`: {sub, name, aud: key of the site, iat, exp},
    good for one hour at most. `previous_secret` is still accepted while a new one is rolled out.
    """

    secret: str = Field(min_length=16)
    previous_secret: str | None = Field(default=None, min_length=16)
    origins: tuple[str, ...] = ()  # where the chat may be embedded; the gateway's own is always allowed


class DialogueSettings(Program):
    """Rasa."""

    port: int = Field(default=5005, ge=0, le=65535)
    token: str = "kefu-loopback"
    timeout: float = Field(default=30.0, gt=0, description="seconds for one turn")


class ActionsSettings(Program):
    """The action server."""

    port: int = Field(default=5055, ge=0, le=65535)


class PolicySettings(Section):
    path: ProjectPath | None = None  # None: the demo shop's policy, bot/policy/default.yml


class KnowledgeSettings(Section):
    """The shop's articles."""

    path: ProjectPath | None = None  # None: the demo shop's articles, data/knowledge
    pgvector: str | None = None  # postgresql://... of a server with pgvector, for very many articles
    cache: ProjectPath | None = None  # file that keeps embeddings; None: .cache/embeddings.db of the checkout


class IdentitySettings(Section):
    """Limits on wrong proofs and the life of right ones."""

    attempts_per_conversation: int = Field(default=5, ge=1)
    attempts_per_order: int = Field(default=5, ge=1)
    attempts_per_source: int = Field(default=20, ge=1)
    window: int = Field(default=3600, gt=0, description="seconds in which attempts are counted")
    fresh: int = Field(default=900, gt=0, description="seconds for which a proof is good for writes")
    lock: int = Field(default=86_400, gt=0, description="seconds a lock-out lasts unless a person ends it")


class GeneratorSettings(Program):
    """The generator, and the decision to answer alone."""

    port: int = Field(default=8090, ge=0, le=65535)
    enabled: bool = True  # False: only the articles' own words
    base_url: str | None = None  # another OpenAI-compatible server with logprobs; None: Kefu's own
    api_key: str | None = None
    model: str | None = None  # name or path of the weights; None: the packaged default
    adapter: str | None = None  # folder of a LoRA adapter; None: the one in the repository; "none": without
    phrases: bool = True  # False: the reranker chooses, and the article's own words are said
    drafts: int = Field(
        default=5,
        ge=1,
        le=8,
        description="replies written to one question; with two or more, one further to its nearest sentence",
    )
    reranker: str | None = None  # folder; None: the one in the repository; "none": without
    device: Literal["auto", "cpu", "cuda"] = "auto"
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    threads: int | None = Field(default=None, ge=1)  # of torch on a CPU; None: its own choice
    mode: Literal["shadow", "strict", "certified"] = "strict"
    certificate: ProjectPath | None = None  # made by `kefu calibrate`; needed in mode certified
    alpha: float = Field(
        default=0.05, gt=0, lt=1, description="wrong answers allowed among those given alone"
    )
    alpha_policy: float = Field(
        default=0.02, gt=0, lt=1, description="the same for money and policy questions"
    )
    delta: float = Field(default=0.1, gt=0, lt=1, description="1 - confidence of the certificate")
    timeout: float = Field(default=20.0, gt=0, description="seconds for one reply")
    max_tokens: int = Field(default=96, ge=8, le=1024)
    max_prompt_tokens: int = Field(default=2048, ge=128)
    concurrency: int = Field(default=4, ge=1, le=512, description="replies written at the same time")
    queue: int = Field(default=16, ge=0, description="requests that may wait; more are told to come back")
    article_url: str | None = (
        None  # where shoppers read an article: "https://shop.example/help/{article}#{anchor}"
    )

    @property
    def packaged(self) -> bool:
        """Whether Kefu's own server writes with the packaged weights."""
        return self.model is None and self.base_url is None

    @field_validator("article_url")
    @classmethod
    def _known_places(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                value.format(article="a", anchor="1", language="en")
            except (KeyError, IndexError, ValueError) as exc:
                raise ValueError(
                    f"only {{article}}, {{anchor}} and {{language}} are filled in ({exc!r})"
                ) from exc
            if not value.startswith(("https://", "http://")):
                raise ValueError("it must begin with https://")
        return value


class WechatSettings(Section):
    """One WeChat Official Account. Its pushes arrive at /wechat/<name of the block>."""

    appid: str
    token: str
    secret: str = ""
    mode: Literal["plain", "compatible", "safe"] = "safe"
    aes_key: str = ""  # EncodingAESKey, 43 characters
    previous_aes_key: str = ""  # while the platform changes over
    base_url: str = "https://api.weixin.qq.com"
    timeout: float = Field(default=5.0, gt=0, le=30, description="seconds for one call")
    passive_only: bool = False  # the account may not use the customer-service API
    native_desk: bool = False  # people answer in WeChat's own client instead of Kefu's desk
    native_agent: str | None = None  # a person there, as account@name
    menu: dict[str, str] = Field(default_factory=dict)  # EventKey -> what the shopper says; "human": a person


class WecomSettings(Section):
    """WeCom customer service (微信客服) of one enterprise. Its rings arrive at /wecom/<name of the block>."""

    corpid: str
    secret: str = ""
    token: str
    aes_key: str
    previous_aes_key: str = ""
    base_url: str = "https://qyapi.weixin.qq.com"
    timeout: float = Field(default=8.0, gt=0, le=30, description="seconds for one call")
    desk: Literal["kefu", "wecom"] = "kefu"  # where people answer
    servicer: str | None = None  # userid who gets hand-offs; None: the pool


class TelegramSettings(Section):
    """One Telegram bot."""

    token: str  # from @BotFather
    mode: Literal["polling", "webhook"] = "polling"
    webhook_secret: str = ""  # 16 to 256 of A-Z a-z 0-9 _ -
    base_url: str = "https://api.telegram.org"  # or a relay of your own
    proxy: str | None = None  # http:// or socks5:// address; variables of the environment are not used
    poll_seconds: int = Field(default=25, ge=0, le=50, description="seconds one poll waits for news")


class HoursSettings(Section):
    """When people are at the desk. An empty week: always."""

    week: dict[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], tuple[str, ...]] = Field(
        default_factory=dict, description='opening hours by day: {mon: ["09:00-12:00", "13:00-18:00"]}'
    )
    timezone: str | None = None  # None: the shop's
    holidays: str | None = None  # whose public holidays are free: CN, DE, US, ...
    closed: tuple[date, ...] = ()  # further days off
    worked: tuple[date, ...] = ()  # open although a weekend or holiday (China's make-up days)

    @field_validator("week")
    @classmethod
    def readable(cls, week: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        """Refuse times nobody could read."""
        from bot.handoff.hours import span

        for spans in week.values():
            for text in spans:
                try:
                    span(text)
                except SettingsError as exc:
                    raise ValueError(str(exc)) from exc
        return week


class HandoffSettings(Section):
    """People taking over. Times in seconds."""

    hours: HoursSettings = HoursSettings()
    notice_after: int = Field(default=180, ge=10, description="nobody took it: say so, offer to leave word")
    promise_within: int = Field(
        default=3600, ge=60, description="outside hours: answered that long after opening"
    )
    person_idle: int = Field(default=600, ge=30, description="the shopper waits that long: back to the queue")
    shopper_idle: int = Field(default=1800, ge=60, description="the shopper is silent that long: closed")
    reopen_within: int = Field(default=86_400, ge=0, description="writing again: to the same person")
    rating: bool = True  # ask 1 to 5 when a person closes
    summary: bool = False  # two sentences by the generator beside the packet, when they pass its checks
    promise_check: int = Field(
        default=14_400, ge=60, description="between two looks at what was promised a shopper"
    )
    tick: float = Field(default=1.0, gt=0, description="between two looks at the timers")


class ChatwootSettings(Section):
    """An API-channel inbox of Chatwoot where people answer. Its webhook is /chatwoot of the gateway."""

    base_url: str  # https://chatwoot.example.com
    account: int
    inbox: int
    token: str = Field(repr=False)  # access token of a user made for Kefu, who answers nobody himself
    secret: str = Field(min_length=8, repr=False)  # of the inbox's webhook, shown with the inbox
    poll_seconds: float = Field(default=60.0, gt=0, description="between two looks for missed webhooks")
    timeout: float = Field(default=8.0, gt=0, le=60, description="seconds for one call")
    files_from: tuple[str, ...] = ()  # hosts besides Chatwoot's own that its files are fetched from


class TelegramDeskSettings(Section):
    """A Telegram group with topics where people answer: one topic per conversation."""

    token: str = Field(repr=False)  # of a bot of its own: two programs cannot read one bot's updates
    group: int  # id of the supergroup, -100...
    members: dict[int, str]  # Telegram user id -> the name shoppers see; nobody else is heard
    base_url: str = "https://api.telegram.org"
    proxy: str | None = None
    poll_seconds: int = Field(default=25, ge=0, le=50, description="seconds one poll waits for news")


class OidcSettings(Section):
    """Signing in at the desk by an OpenID Connect provider. Its redirect address is /desk/oidc/callback."""

    issuer: str  # https://login.example.com/realms/shop, exactly as the provider writes it
    client_id: str
    client_secret: str = Field(default="", repr=False)  # empty: a public client, with PKCE alone
    scopes: tuple[str, ...] = ("openid", "profile")
    name_claim: str = "preferred_username"  # what colleagues and shoppers read
    role_claim: str = "groups"  # a claim or a path like realm_access.roles
    roles: dict[str, tuple[str, ...]]  # agent, lead, admin: the claim's values that give each role
    timeout: float = Field(default=8.0, gt=0, le=60, description="seconds for one call")


DeskRole = Literal["agent", "lead", "admin"]  # as channels.desk.staff has them


def _usual_limits() -> dict[DeskRole, dict[str, int]]:
    lead = {"CNY": 500_000, "HKD": 500_000, "USD": 70_000, "EUR": 65_000, "GBP": 55_000, "JPY": 100_000}
    return {"lead": lead}


class DeskSettings(Section):
    """The page where people answer, at /desk of the gateway."""

    enabled: bool = True
    session_hours: int = Field(default=12, ge=1, le=720, description="idle hours until a sign-in ends")
    canned: ProjectPath | None = None  # canned replies; None: channels/desk/canned.yml
    # What a role may approve of what the policy leaves to a person: minor units by currency; a currency without a
    # number is not approved. Without a row `lead` has the limits above, `admin` none. `agent` never approves.
    approve_up_to: dict[DeskRole, dict[str, int]] = Field(default_factory=_usual_limits)
    passwords: bool = True  # False: signing in by `oidc` only
    oidc: OidcSettings | None = None
    chatwoot: ChatwootSettings | None = None  # people also answer in Chatwoot
    telegram: TelegramDeskSettings | None = None  # or in topics of a Telegram group

    @field_validator("approve_up_to")
    @classmethod
    def a_lead_has_limits(cls, limits: dict[DeskRole, dict[str, int]]) -> dict[DeskRole, dict[str, int]]:
        """A row for `admin` alone must not take the limits from `lead`."""
        return {**_usual_limits(), **limits}


class RetentionSettings(Section):
    """Days until `kefu privacy purge` (and the gateway, once a day) removes it. 0: never."""

    raw: int = Field(default=7, ge=0, description="what the platform sent, word for word")
    messages: int = Field(default=365, ge=0, description="texts and buttons, from the last word on")
    media: int = Field(default=180, ge=0, description="files shoppers sent")
    tracker: int = Field(default=90, ge=0, description="what Rasa remembers of the dialogue")
    packets: int = Field(default=180, ge=0, description="what the desk was given, notes, drafts")
    audit: int = Field(default=730, ge=0, description="why a reply was given: intent, clause, receipts")
    access: int = Field(default=730, ge=0, description="who looked at which conversation")
    logs: int = Field(default=30, ge=0, description="files in data_dir/log")


class PrivacySettings(Section):
    """Personal data. Keys encrypt texts and files at rest; the first one writes, all of them read."""

    mask_logs: bool = True
    keys: tuple[str, ...] = Field(default=(), repr=False)  # KEFU_PRIVACY__KEYS='["key", "older key"]'
    key_file: ProjectPath | None = None  # one key a line, after those of `keys`
    retention: RetentionSettings = RetentionSettings()


class TelemetrySettings(Section):
    """Figures for Prometheus at /metrics of the gateway, and traces."""

    token: str | None = None  # Bearer token without which nobody reads /metrics; None: only this machine
    otlp_endpoint: str | None = None  # OpenTelemetry over HTTP, e.g. http://127.0.0.1:4318; None: no traces


class LogSettings(Section):
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"


class SupervisorSettings(Section):
    """How `kefu up` treats the programs it starts."""

    start_timeout: float = Field(default=180.0, gt=0, description="seconds until every program answers")
    stop_timeout: float = Field(default=10.0, gt=0, description="seconds before a program is killed")
    health_interval: float = Field(default=10.0, gt=0, description="seconds between two checks")
    health_failures: int = Field(default=6, ge=1, description="missed checks before a restart")


class Settings(BaseSettings):
    """All of it."""

    model_config = SettingsConfigDict(
        env_prefix="KEFU_",
        env_nested_delimiter="__",
        env_file=ENV_FILE,
        env_ignore_empty=True,  # a line of .env that was not filled in is not an empty secret
        extra="forbid",
    )

    data_dir: Path = Path("var")
    language: Literal["zh", "en"] = "zh"
    timezone: str = "Asia/Shanghai"  # the shop's: days of the policy are counted in it
    database_url: str | None = None  # None: SQLite in data_dir
    redis_url: str | None = None
    shop: ShopSettings = ShopSettings()
    order_api: OrderApiSettings = OrderApiSettings()
    gateway: GatewaySettings = GatewaySettings()
    sites: dict[str, SiteSettings] = Field(
        default_factory=lambda: {"demo": SiteSettings(secret="demo-site-secret-that-everybody-knows")},  # noqa: S106
    )
    media: MediaSettings = MediaSettings()
    dialogue: DialogueSettings = DialogueSettings()
    actions: ActionsSettings = ActionsSettings()
    policy: PolicySettings = PolicySettings()
    knowledge: KnowledgeSettings = KnowledgeSettings()
    identity: IdentitySettings = IdentitySettings()
    generator: GeneratorSettings = GeneratorSettings()
    wechat: dict[str, WechatSettings] = Field(default_factory=dict)
    wecom: dict[str, WecomSettings] = Field(default_factory=dict)
    telegram: dict[str, TelegramSettings] = Field(default_factory=dict)
    handoff: HandoffSettings = HandoffSettings()
    desk: DeskSettings = DeskSettings()
    privacy: PrivacySettings = PrivacySettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    log: LogSettings = LogSettings()
    supervisor: SupervisorSettings = SupervisorSettings()

    @field_validator("timezone")
    @classmethod
    def known_timezone(cls, name: str) -> str:
        """Refuse a name that is not in the IANA time zone database."""
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError) as exc:
            raise ValueError(
                f"{name!r} is no time zone; write one like Asia/Shanghai or Europe/Berlin"
            ) from exc
        return name

    @property
    def sqlalchemy_url(self) -> str:
        """Async SQLAlchemy address of Kefu's own database."""
        if self.database_url is None:
            return f"sqlite+aiosqlite:///{self.data_path('kefu.db')}"
        return self.database_url.replace("postgresql://", "postgresql+asyncpg://", 1)

    @property
    def order_api_url(self) -> str:
        return self.order_api.base_url or self.shop.url

    @property
    def order_api_key(self) -> str:
        return self.order_api.api_key or self.shop.api_key

    def data_path(self, *parts: str) -> Path:
        """A path under data_dir, whose folder is made when missing: for its owner only, as shoppers' words lie there.

        Raises:
            SettingsError: the folder cannot be made, or not be entered.
        """
        root = PROJECT_ROOT / self.data_dir
        path = root.joinpath(*parts)
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.exists()  # raises when the folder is another account's
        except OSError as exc:
            raise SettingsError(
                f"data_dir: {exc.filename} cannot be used: {exc.strerror}. Remedy: correct its owner, or set data_dir."
            ) from exc
        return path

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        yaml_settings = InitSettingsSource(settings_cls, init_kwargs=read_settings_file())
        return (init_settings, env_settings, dotenv_settings, yaml_settings)


def settings_file() -> Path:
    """The settings file: KEFU_SETTINGS, else kefu.yml in the project root."""
    return PROJECT_ROOT / (os.environ.get("KEFU_SETTINGS") or "kefu.yml")


def read_settings_file() -> dict[str, Any]:
    """What the settings file says. Only kefu.yml may be missing: a file that somebody named is wanted.

    Raises:
        SettingsError: the file is missing, cannot be read, or is no YAML of sections.
    """
    file = settings_file()
    try:
        content = yaml.safe_load(file.read_text("utf-8"))
    except FileNotFoundError as exc:
        if not os.environ.get("KEFU_SETTINGS"):
            return {}
        raise SettingsError(f"{file} does not exist. Remedy: correct or unset KEFU_SETTINGS.") from exc
    except OSError as exc:
        raise SettingsError(f"{file} cannot be read: {exc.strerror}. Remedy: correct its owner.") from exc
    except UnicodeDecodeError as exc:
        raise SettingsError(f"{file} is not UTF-8 (byte {exc.start}). Remedy: save it as UTF-8.") from exc
    except yaml.YAMLError as exc:
        raise SettingsError(f"{file} is not valid YAML: {exc}") from exc
    if content is None:
        return {}
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise SettingsError(
            f"{file} is no list of settings. Remedy: write `name: value`, and sections as kefu.yml shows them."
        )
    return content


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """Variables that look like settings and are none.

    Only the part before ``__`` is looked at: what comes after it belongs to a section, which refuses unknown keys itself.
    """
    unknown = []
    for name, value in environment.items():
        prefix, _, rest = name.upper().partition("_")
        if prefix != "KEFU" or f"KEFU_{rest}" in OWN_VARIABLES or _OF_A_SERVICE.match(f"{name}={value}"):
            continue
        section, nested, _ = rest.lower().partition("__")
        field = Settings.model_fields.get(section)
        if field is None or (
            nested and not isinstance(field.get_default(call_default_factory=True), Section | dict)
        ):
            unknown.append(name)
    return sorted(unknown)


def load_settings() -> Settings:
    """Read the settings.

    Raises:
        SettingsError: a key is unknown or a value impossible; names the key and the file.
    """
    if unknown := unknown_variables(os.environ):
        raise SettingsError(
            f"There is no setting for {', '.join(unknown)}. "
            "Remedy: write KEFU_<SECTION>__<KEY>, two underscores between them, or unset it."
        )
    try:
        return Settings()
    except ValidationError as exc:
        lines = [
            f"  {'.'.join(str(part) for part in error['loc'])}: {error['msg']}" for error in exc.errors()
        ]
        raise SettingsError(
            f"Settings are not valid (file {settings_file()}, {ENV_FILE} and variables KEFU_<SECTION>__<KEY>):\n"
            + "\n".join(lines)
        ) from exc
    except UnreadableVariable as exc:
        named = re.search(r'field "(\w+)"', str(exc))
        raise SettingsError(
            f"The variable KEFU_{named[1].upper() if named else '*'} or one that begins so cannot be read: "
            f"{exc.__cause__}. Remedy: lists and mappings are JSON, as in KEFU_PRIVACY__KEYS='[\"key\"]'."
        ) from exc
    except UnicodeDecodeError as exc:
        raise SettingsError(f"{ENV_FILE} is not UTF-8 (byte {exc.start}). Remedy: save it as UTF-8.") from exc
    except OSError as exc:
        raise SettingsError(f"{ENV_FILE} cannot be read: {exc.strerror}. Remedy: correct its owner.") from exc


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The settings of this process, read at first use."""
    return load_settings()
