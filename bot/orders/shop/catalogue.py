"""What the demo shop sells: products with variants, prices, categories and tags.

Prices are fen (CNY); other currencies are derived (`price_in`). Categories and tags are the words the
policy speaks of. This module knows no orders and no customers.
"""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass, field

from bot.orders.models import Money, Product, Variant

Text = tuple[str, str]  # zh, en

# What one yuan buys elsewhere, fixed: a demo shop has no exchange desk.
RATES = {"CNY": 1.0, "USD": 1 / 7.2, "EUR": 1 / 7.8}

CATEGORIES = (
    "apparel",
    "shoes",
    "electronics",
    "appliances",
    "beauty",
    "hygiene",
    "fresh",
    "food",
    "books",
    "home",
    "toys",
    "sports",
    "digital",
    "custom",
)
TAGS = ("made_to_order", "perishable", "hygiene", "download")


@dataclass(frozen=True)
class Choice:
    """One option of a product: its name and the values to choose from."""

    name: str
    values: tuple[Text, ...]
    extra: tuple[int, ...] = ()  # fen on top of the base price, per value


@dataclass(frozen=True)
class Item:
    """A product as written below. `drop` is what its price has fallen by, in percent."""

    id: str
    title: Text
    category: str
    price: int  # fen
    choices: tuple[Choice, ...] = ()
    tags: tuple[str, ...] = ()
    drop: int = 0
    sold_out: tuple[int, ...] = ()  # places of variants without stock
    description: Text = ("", "")
    stock: tuple[int, int] = field(default=(8, 120))


def _sizes(*names: str) -> Choice:
    return Choice("size", tuple((f"{name} 码", name) for name in names))


def _colours(*values: Text) -> Choice:
    return Choice("color", values)


BLACK, WHITE, GREY = ("黑色", "Black"), ("白色", "White"), ("灰色", "Grey")
NAVY, BEIGE, RED = ("藏青色", "Navy"), ("米色", "Beige"), ("红色", "Red")
GREEN, BLUE, PINK = ("绿色", "Green"), ("蓝色", "Blue"), ("粉色", "Pink")
CLOTHES = _sizes("S", "M", "L", "XL")
SHOES = Choice("size", tuple((f"{n} 码", str(n)) for n in (37, 38, 39, 40, 41, 42, 43)))

ITEMS: tuple[Item, ...] = (
    # apparel
    Item(
        "P1001",
        ("纯棉圆领T恤", "Cotton crew-neck T-shirt"),
        "apparel",
        8900,
        (_colours(WHITE, BLACK, NAVY), CLOTHES),
    ),
    Item("P1002", ("亚麻衬衫", "Linen shirt"), "apparel", 21900, (_colours(WHITE, BLUE), CLOTHES)),
    Item("P1003", ("羊毛针织开衫", "Wool cardigan"), "apparel", 39900, (_colours(BEIGE, GREY), CLOTHES)),
    Item(
        "P1004",
        ("轻薄羽绒服", "Light down jacket"),
        "apparel",
        59900,
        (_colours(BLACK, GREEN), CLOTHES),
        drop=15,
    ),
    Item("P1005", ("直筒牛仔裤", "Straight-leg jeans"), "apparel", 25900, (CLOTHES,)),
    Item("P1006", ("防风连帽外套", "Hooded windbreaker"), "apparel", 32900, (_colours(NAVY, RED), CLOTHES)),
    Item(
        "P1007",
        ("真丝连衣裙", "Silk dress"),
        "apparel",
        68900,
        (_colours(PINK, BLACK), CLOTHES),
        sold_out=(4, 5, 6, 7),
    ),
    Item("P1008", ("羊绒围巾", "Cashmere scarf"), "apparel", 45900, (_colours(GREY, RED, BEIGE),)),
    Item(
        "P1009",
        ("限量联名卫衣", "Limited-edition sweatshirt"),
        "apparel",
        49900,
        (CLOTHES,),
        sold_out=(0, 2, 3),
    ),
    # shoes
    Item("P1101", ("缓震跑步鞋", "Cushioned running shoes"), "shoes", 49900, (_colours(BLACK, WHITE), SHOES)),
    Item("P1102", ("真皮乐福鞋", "Leather loafers"), "shoes", 56900, (SHOES,)),
    Item("P1103", ("防水徒步靴", "Waterproof hiking boots"), "shoes", 79900, (SHOES,), drop=10),
    Item("P1104", ("帆布鞋", "Canvas sneakers"), "shoes", 19900, (_colours(WHITE, RED), SHOES)),
    # electronics
    Item(
        "P2001",
        ("降噪无线耳机", "Noise-cancelling earbuds"),
        "electronics",
        79900,
        (_colours(BLACK, WHITE),),
        drop=20,
    ),
    Item(
        "P2002",
        ("机械键盘", "Mechanical keyboard"),
        "electronics",
        45900,
        (Choice("switch", (("红轴", "Red switch"), ("茶轴", "Brown switch"))),),
    ),
    Item(
        "P2003",
        ("轻薄笔记本电脑", "Ultralight laptop"),
        "electronics",
        799900,
        (Choice("memory", (("16 GB", "16 GB"), ("32 GB", "32 GB")), (0, 120000)),),
    ),
    Item(
        "P2004",
        ("智能手机", "Smartphone"),
        "electronics",
        399900,
        (_colours(BLACK, BLUE), Choice("storage", (("256 GB", "256 GB"), ("512 GB", "512 GB")), (0, 60000))),
    ),
    Item("P2005", ("智能手表", "Smart watch"), "electronics", 129900, (_colours(BLACK, PINK),)),
    Item("P2006", ("65W氮化镓充电器", "65 W GaN charger"), "electronics", 16900, (_colours(WHITE, BLACK),)),
    Item(
        "P2007",
        ("便携移动电源", "Power bank"),
        "electronics",
        19900,
        (Choice("capacity", (("10000 毫安时", "10,000 mAh"), ("20000 毫安时", "20,000 mAh")), (0, 8000)),),
    ),
    Item("P2008", ("蓝牙音箱", "Bluetooth speaker"), "electronics", 29900, (_colours(BLACK, RED, BLUE),)),
    Item("P2009", ("27英寸显示器", "27-inch monitor"), "electronics", 149900),
    # appliances
    Item("P2101", ("电热水壶", "Electric kettle"), "appliances", 15900, (_colours(WHITE, BLACK),)),
    Item("P2102", ("扫地机器人", "Robot vacuum"), "appliances", 219900, drop=12),
    Item(
        "P2103",
        ("空气炸锅", "Air fryer"),
        "appliances",
        39900,
        (Choice("capacity", (("4 升", "4 L"), ("6 升", "6 L")), (0, 10000)),),
    ),
    Item("P2104", ("胶囊咖啡机", "Capsule coffee machine"), "appliances", 89900, (_colours(RED, BLACK),)),
    Item("P2105", ("空气净化器", "Air purifier"), "appliances", 129900),
    Item("P2106", ("手持吸尘器", "Cordless vacuum"), "appliances", 99900),
    # beauty and hygiene
    Item(
        "P3001",
        ("保湿面霜", "Moisturising cream"),
        "beauty",
        16800,
        (Choice("volume", (("50 毫升", "50 ml"), ("100 毫升", "100 ml")), (0, 9000)),),
        ("hygiene",),
    ),
    Item("P3002", ("哑光口红", "Matte lipstick"), "beauty", 12900, (_colours(RED, PINK),), ("hygiene",)),
    Item("P3003", ("防晒霜 SPF50", "Sunscreen SPF 50"), "beauty", 9900, (), ("hygiene",)),
    Item(
        "P3004",
        ("淡香水", "Eau de toilette"),
        "beauty",
        38800,
        (Choice("volume", (("30 毫升", "30 ml"), ("50 毫升", "50 ml")), (0, 15000)),),
        ("hygiene",),
    ),
    Item(
        "P3101",
        ("声波电动牙刷", "Sonic toothbrush"),
        "hygiene",
        29900,
        (_colours(WHITE, PINK),),
        ("hygiene",),
    ),
    Item("P3102", ("纯棉内裤三条装", "Cotton briefs, pack of 3"), "hygiene", 9900, (CLOTHES,), ("hygiene",)),
    Item("P3103", ("剃须刀", "Electric shaver"), "hygiene", 39900, (), ("hygiene",)),
    Item("P3104", ("泳衣", "Swimsuit"), "hygiene", 18900, (_colours(BLACK, BLUE), CLOTHES), ("hygiene",)),
    # fresh and food
    Item("P4001", ("智利车厘子 2.5公斤", "Chilean cherries, 2.5 kg"), "fresh", 16900, (), ("perishable",)),
    Item("P4002", ("阳澄湖大闸蟹礼盒", "Hairy crab gift box"), "fresh", 39900, (), ("perishable",)),
    Item("P4003", ("有机草莓", "Organic strawberries"), "fresh", 6900, (), ("perishable",)),
    Item(
        "P4004",
        ("鲜切玫瑰 20枝", "Fresh roses, 20 stems"),
        "fresh",
        12900,
        (_colours(RED, PINK, WHITE),),
        ("perishable",),
    ),
    Item("P4005", ("冷鲜三文鱼", "Fresh salmon"), "fresh", 9900, (), ("perishable",)),
    Item(
        "P4101",
        ("手冲咖啡豆 250克", "Coffee beans, 250 g"),
        "food",
        7800,
        (Choice("roast", (("浅烘", "Light roast"), ("深烘", "Dark roast"))),),
    ),
    Item("P4102", ("明前龙井 100克", "Longjing tea, 100 g"), "food", 28800),
    Item("P4103", ("坚果礼盒", "Nut gift box"), "food", 13900, drop=18),
    Item("P4104", ("手工黑巧克力", "Dark chocolate, handmade"), "food", 5900),
    # books, digital
    Item("P5001", ("城市植物手册", "A Handbook of City Plants"), "books", 6800),
    Item("P5002", ("面食的一百种做法", "A Hundred Ways with Noodles"), "books", 8800),
    Item(
        "P5003",
        ("给孩子的星空图", "A Child's Map of the Sky"),
        "books",
        5600,
        (Choice("cover", (("平装", "Paperback"), ("精装", "Hardcover")), (0, 3000)),),
    ),
    Item("P5004", ("旧书店的猫", "The Bookshop Cat"), "books", 4500),
    Item(
        "P5101",
        ("摄影后期课程（下载）", "Photo editing course (download)"),
        "digital",
        19900,
        (),
        ("download",),
    ),
    Item(
        "P5102", ("日语五十音有声书（下载）", "Kana audiobook (download)"), "digital", 2900, (), ("download",)
    ),
    Item(
        "P5103",
        ("手账贴纸素材（下载）", "Journal sticker pack (download)"),
        "digital",
        1900,
        (),
        ("download",),
    ),
    # home
    Item(
        "P6001",
        ("四件套床品", "Bedding set"),
        "home",
        35900,
        (
            _colours(GREY, BEIGE),
            Choice("size", (("1.5 米床", "150 cm bed"), ("1.8 米床", "180 cm bed")), (0, 4000)),
        ),
    ),
    Item("P6002", ("乳胶枕", "Latex pillow"), "home", 19900),
    Item("P6003", ("陶瓷餐具套装", "Ceramic dinner set"), "home", 26900, (_colours(WHITE, BLUE),)),
    Item("P6004", ("实木边桌", "Solid wood side table"), "home", 45900),
    Item(
        "P6005",
        ("香薰蜡烛", "Scented candle"),
        "home",
        12800,
        (Choice("scent", (("雪松", "Cedar"), ("无花果", "Fig"))),),
    ),
    Item("P6006", ("不粘炒锅", "Non-stick wok"), "home", 22900),
    Item("P6007", ("遮光窗帘", "Blackout curtains"), "home", 18900, (_colours(GREY, BEIGE),)),
    # toys, sports
    Item("P7001", ("积木城堡", "Castle building blocks"), "toys", 29900),
    Item("P7002", ("毛绒熊", "Plush bear"), "toys", 9900, (_colours(BEIGE, PINK),)),
    Item("P7003", ("遥控越野车", "Remote-control buggy"), "toys", 25900, (_colours(RED, GREEN),)),
    Item("P7101", ("瑜伽垫", "Yoga mat"), "sports", 14900, (_colours(GREEN, PINK, GREY),)),
    Item("P7102", ("可调哑铃", "Adjustable dumbbells"), "sports", 69900),
    Item(
        "P7103",
        ("露营帐篷", "Camping tent"),
        "sports",
        54900,
        (Choice("size", (("双人", "2 persons"), ("四人", "4 persons")), (0, 15000)),),
    ),
    # made to order
    Item(
        "P8001",
        ("刻字戒指", "Engraved ring"),
        "custom",
        69900,
        (Choice("size", (("12 号", "Size 12"), ("14 号", "Size 14"))),),
        ("made_to_order",),
    ),
    Item("P8002", ("定制照片书", "Custom photo book"), "custom", 15900, (), ("made_to_order",)),
    Item("P8003", ("量体裁衣西装", "Tailored suit"), "custom", 239900, (), ("made_to_order",)),
    Item(
        "P8004",
        ("定制名字马克杯", "Mug with your name"),
        "custom",
        5900,
        (_colours(WHITE, BLACK),),
        ("made_to_order",),
    ),
)


@dataclass(frozen=True)
class Offer:
    """A product as it stands on the shelf, and what its variants cost before the price fell."""

    product: Product
    before: dict[str, int]  # variant id -> fen


def price_in(fen: int, currency: str) -> int:
    """The price in minor units of `currency`; foreign prices end in 9 as foreign prices do."""
    if currency == "CNY":
        return fen
    return max(9, round(fen * RATES[currency] / 10) * 10 - 1)


def shelf(rng: random.Random) -> list[Offer]:
    """All products with stock drawn from `rng`."""
    return [_offer(item, rng) for item in ITEMS]


def _offer(item: Item, rng: random.Random) -> Offer:
    variants = []
    before = {}
    places = list(itertools.product(*(range(len(choice.values)) for choice in item.choices)))
    for index, place in enumerate(places):
        variant_id = f"{item.id}-{index + 1:02d}"
        options = {}
        price = item.price
        for choice, which in zip(item.choices, place, strict=True):
            zh, en = choice.values[which]
            options[choice.name] = {"zh": zh, "en": en}
            price += choice.extra[which] if choice.extra else 0
        before[variant_id] = price
        stock = 0 if index in item.sold_out else rng.randint(*item.stock)
        current = price * (100 - item.drop) // 10000 * 100 if item.drop else price
        variants.append(
            Variant(
                id=variant_id,
                product_id=item.id,
                options=options,
                price=Money(amount=current, currency="CNY"),
                stock=stock,
            )
        )
    product = Product(
        id=item.id,
        title={"zh": item.title[0], "en": item.title[1]},
        description={"zh": item.description[0], "en": item.description[1]} if item.description[0] else {},
        category=item.category,
        tags=item.tags,
        variants=tuple(variants),
    )
    return Offer(product, before)
