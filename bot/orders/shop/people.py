"""The demo shop's customers: names, phones, addresses. None of them is a real person.

Phone numbers come from ranges that are kept for fiction where a country has one (US 555-01xx, UK
07700 900xxx, FR 06 39 98 xxxx); Chinese ones use the 1380000-type numbers of examples.
"""

from __future__ import annotations

import random
import unicodedata
from dataclasses import dataclass

from bot.orders.models import Address


@dataclass(frozen=True)
class Customer:
    id: str
    name: str
    phone: str
    email: str
    address: Address
    currency: str
    accounts: tuple[str, ...]  # what channels call this customer, e.g. site:C1001


def _fixed(
    id_: str, name: str, phone: str, email: str, currency: str, place: tuple[str, str, str, str, str, str]
) -> Customer:
    country, province, city, district, street, postcode = place
    address = Address(
        name=name,
        phone=phone,
        country=country,
        province=province,
        city=city,
        district=district,
        street=street,
        postcode=postcode,
    )
    accounts = (f"site:{id_}", f"wechat:demo-openid-{id_}", f"telegram:{7000000 + int(id_[1:])}")
    return Customer(id_, name, phone, email, address, currency, accounts)


# The customers of the well-known orders (`samples`). Never change one: demos and tests name them.
FIXED: tuple[Customer, ...] = (
    _fixed(
        "C1001",
        "李娜",
        "13800002046",
        "lina@example.com",
        "CNY",
        ("CN", "上海市", "上海市", "徐汇区", "天平路 88 号 3 单元 502", "200030"),
    ),
    _fixed(
        "C1002",
        "Emma Johnson",
        "+1 415 555 0142",
        "emma.johnson@example.com",
        "USD",
        ("US", "California", "San Francisco", "", "1250 Valencia Street, Apt 4", "94110"),
    ),
    _fixed(
        "C1003",
        "王伟",
        "13900007315",
        "wangwei@example.com",
        "CNY",
        ("CN", "北京市", "北京市", "朝阳区", "望京西园三区 310 号楼 1201", "100102"),
    ),
    _fixed(
        "C1004",
        "Camille Laurent",
        "+33 6 39 98 27 51",
        "camille.laurent@example.com",
        "EUR",
        ("FR", "", "Lyon", "", "14 rue de la République", "69002"),
    ),
    _fixed(
        "C1005",
        "陈静",
        "15900008826",
        "chenjing@example.com",
        "CNY",
        ("CN", "广东省", "深圳市", "南山区", "科技园南区 R2-B 座 808", "518057"),
    ),
    _fixed(
        "C1006",
        "Oliver Smith",
        "+44 7700 900371",
        "oliver.smith@example.com",
        "USD",
        ("GB", "", "Bristol", "", "27 Park Street", "BS1 5NH"),
    ),
    _fixed(
        "C1007",
        "张敏",
        "18800004173",
        "zhangmin@example.com",
        "CNY",
        ("CN", "四川省", "成都市", "武侯区", "人民南路四段 12 号 6 栋 904", "610041"),
    ),
    _fixed(
        "C1008",
        "Sofia Chen",
        "+1 212 555 0187",
        "sofia.chen@example.com",
        "CNY",
        ("CN", "浙江省", "杭州市", "西湖区", "文三路 259 号 昌地火炬大厦 1706", "310012"),
    ),
)

SURNAMES = tuple("王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹")
GIVEN = (
    "芳",
    "伟",
    "秀英",
    "敏",
    "静",
    "丽",
    "强",
    "磊",
    "军",
    "洋",
    "勇",
    "艳",
    "杰",
    "娟",
    "涛",
    "明",
    "超",
    "霞",
    "平",
    "刚",
    "桂兰",
    "子涵",
    "欣怡",
    "浩然",
    "宇轩",
    "梓萱",
    "诗琪",
    "俊杰",
    "雨桐",
    "思远",
    "嘉怡",
    "晨曦",
    "文博",
    "佳琪",
    "天宇",
    "若彤",
)
# Latin spelling for e-mail addresses only.
PINYIN_TEXT = (
    "wang li zhang liu chen yang huang zhao wu zhou xu sun ma zhu hu "
    "guo he gao lin luo zheng liang xie song tang xu han feng deng cao"
)
PINYIN = dict(zip(SURNAMES, PINYIN_TEXT.split(), strict=True))

# province, city, district, street, postcode
CN_PLACES = (
    ("上海市", "上海市", "浦东新区", "世纪大道", "200120"),
    ("上海市", "上海市", "静安区", "南京西路", "200040"),
    ("北京市", "北京市", "海淀区", "中关村大街", "100080"),
    ("北京市", "北京市", "西城区", "西直门外大街", "100044"),
    ("广东省", "广州市", "天河区", "体育东路", "510620"),
    ("广东省", "深圳市", "福田区", "深南大道", "518033"),
    ("浙江省", "杭州市", "滨江区", "江南大道", "310051"),
    ("浙江省", "宁波市", "鄞州区", "中山东路", "315040"),
    ("江苏省", "南京市", "鼓楼区", "中央路", "210009"),
    ("江苏省", "苏州市", "姑苏区", "人民路", "215005"),
    ("四川省", "成都市", "锦江区", "春熙路", "610016"),
    ("重庆市", "重庆市", "渝中区", "解放碑步行街", "400010"),
    ("湖北省", "武汉市", "武昌区", "中南路", "430071"),
    ("湖南省", "长沙市", "岳麓区", "麓山南路", "410082"),
    ("陕西省", "西安市", "雁塔区", "长安南路", "710061"),
    ("山东省", "青岛市", "市南区", "香港中路", "266071"),
    ("福建省", "厦门市", "思明区", "湖滨南路", "361004"),
    ("辽宁省", "大连市", "中山区", "人民路", "116001"),
    ("云南省", "昆明市", "五华区", "翠湖南路", "650031"),
    ("天津市", "天津市", "和平区", "南京路", "300051"),
)

FIRST = (
    "James",
    "Olivia",
    "Noah",
    "Amelia",
    "Liam",
    "Isla",
    "Lucas",
    "Mia",
    "Hugo",
    "Chloé",
    "Léo",
    "Anna",
    "Felix",
    "Marta",
    "Diego",
    "Lucía",
    "Matteo",
    "Giulia",
    "Jonas",
    "Freja",
    "Aisha",
    "Omar",
    "Priya",
    "Arjun",
    "Yuki",
    "Haruto",
    "Minji",
    "Thiago",
    "Zofia",
    "Pavel",
)
LAST = (
    "Brown",
    "Taylor",
    "Wilson",
    "Davies",
    "Martin",
    "Bernard",
    "Petit",
    "Moreau",
    "Müller",
    "Schneider",
    "Fischer",
    "García",
    "Fernández",
    "Rossi",
    "Ricci",
    "Jensen",
    "Hansen",
    "Khan",
    "Hassan",
    "Patel",
    "Sharma",
    "Tanaka",
    "Suzuki",
    "Kim",
    "Park",
    "Silva",
    "Kowalska",
    "Novák",
)
# country, province, city, street, postcode, currency
WORLD_PLACES = (
    ("US", "New York", "New York", "Bleecker Street", "10012", "USD"),
    ("US", "Washington", "Seattle", "Pine Street", "98101", "USD"),
    ("US", "Texas", "Austin", "South Congress Avenue", "78704", "USD"),
    ("US", "Illinois", "Chicago", "North Clark Street", "60614", "USD"),
    ("GB", "", "London", "Upper Street", "N1 0QH", "USD"),
    ("GB", "", "Edinburgh", "Leith Walk", "EH6 8LN", "USD"),
    ("FR", "", "Paris", "rue des Martyrs", "75009", "EUR"),
    ("FR", "", "Nantes", "rue Crébillon", "44000", "EUR"),
)


def customers(rng: random.Random, count: int = 200) -> list[Customer]:
    """The fixed customers first, then drawn ones: about two thirds Chinese."""
    people = list(FIXED)
    phones = {customer.phone for customer in people}
    while len(people) < count:
        number = len(people) + 1001
        customer = _chinese(rng, number) if rng.random() < 0.66 else _foreign(rng, number)
        if customer.phone in phones:
            continue
        phones.add(customer.phone)
        people.append(customer)
    return people


def _chinese(rng: random.Random, number: int) -> Customer:
    surname = rng.choice(SURNAMES)
    name = surname + rng.choice(GIVEN)
    prefix = rng.choice(("1380000", "1390000", "1590000", "1880000"))
    phone = f"{prefix}{rng.randrange(10000):04d}"
    province, city, district, street, postcode = rng.choice(CN_PLACES)
    building, flat = rng.randint(1, 18), f"{rng.randint(1, 30)}{rng.randint(1, 8):02d}"
    house = f"{street} {rng.randint(1, 999)} 号 {building} 栋 {flat}"
    email = f"{PINYIN[surname]}{number}@example.com"
    return _fixed(f"C{number}", name, phone, email, "CNY", ("CN", province, city, district, house, postcode))


def _foreign(rng: random.Random, number: int) -> Customer:
    name = f"{rng.choice(FIRST)} {rng.choice(LAST)}"
    country, province, city, street, postcode, currency = rng.choice(WORLD_PLACES)
    match country:
        case "US":
            phone = f"+1 {rng.choice((206, 212, 312, 512))} 555 {rng.randint(100, 199):04d}"
        case "GB":
            phone = f"+44 7700 900{rng.randint(0, 999):03d}"
        case _:
            phone = f"+33 6 39 98 {rng.randint(0, 99):02d} {rng.randint(0, 99):02d}"
    house = f"{rng.randint(1, 240)} {street}"
    email = f"{_ascii(name)}{number}@example.com"
    return _fixed(f"C{number}", name, phone, email, currency, (country, province, city, "", house, postcode))


def _ascii(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return plain.lower().replace(" ", ".")
