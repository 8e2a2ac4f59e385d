"""Pinyin: the syllables Chinese is made of, how characters sound, and Chinese typed in Latin letters.

Tones are left out, as people leave them out. ü is written v. This module knows no conversation.
"""

from __future__ import annotations

import re
from functools import lru_cache

LONGEST = 6  # letters of a syllable: zhuang

_TABLE = """
a ai an ang ao ba bai ban bang bao bei ben beng bi bian biao bie bin bing bo bu ca cai can cang cao ce cen
ceng cha chai chan chang chao che chen cheng chi chong chou chu chuai chuan chuang chui chun chuo ci cong
cou cu cuan cui cun cuo da dai dan dang dao de deng di dian diao die ding diu dong dou du duan dui dun duo e
ei en er fa fan fang fei fen feng fou fu ga gai gan gang gao ge gei gen geng gong gou gu gua guai guan guang
gui gun guo ha hai han hang hao he hei hen heng hong hou hu hua huai huan huang hui hun huo ji jia jian
jiang jiao jie jin jing jiong jiu ju juan jue jun ka kai kan kang kao ke ken keng kong kou ku kua kuai kuan
kuang kui kun kuo la lai lan lang lao le lei leng li lia lian liang liao lie lin ling liu long lou lu luan
lun luo lv lve ma mai man mang mao me mei men meng mi mian miao mie min ming miu mo mou mu na nai nan nang
nao ne nei nen neng ni nian niang niao nie nin ning niu nong nu nuan nuo nv nve o ou pa pai pan pang pao pei
pen peng pi pian piao pie pin ping po pou pu qi qia qian qiang qiao qie qin qing qiong qiu qu quan que qun
ran rang rao re ren reng ri rong rou ru ruan rui run ruo sa sai san sang sao se sen seng sha shai shan shang
shao she shen sheng shi shou shu shua shuai shuan shuang shui shun shuo si song sou su suan sui sun suo ta
tai tan tang tao te teng ti tian tiao tie ting tong tou tu tuan tui tun tuo wa wai wan wang wei wen weng wo
wu xi xia xian xiang xiao xie xin xing xiong xiu xu xuan xue xun ya yan yang yao ye yi yin ying yo yong you
yu yuan yue yun za zai zan zang zao ze zei zen zeng zha zhai zhan zhang zhao zhe zhen zheng zhi zhong zhou
zhu zhua zhuai zhuan zhuang zhui zhun zhuo zi zong zou zu zuan zui zun zuo
"""
# Words that pinyin could be, and English is far more often: without another word nobody means the syllables.
_ENGLISH_WORDS = """
a able age alan alone along am an and any anyone are area aside at aware balance banana ban bang base be ben bike bin
bone but buy buying by cable cake came can care career case change chase cheese china code cute damage dance danger data date dating
dealing decide delete den desire die ding do done due dude ease easier eaten eating en end ending ensure entire era eye face
fake fan fine for fun future game gang gate get guarantee guide gun ha had haha hang has hate have he heading here home
house how huge human hung hunting in is it june keeping lake lane language late league lee license lie like line
long longer luke machine made magazine make male man manage marine mate me mean meaning measure media medicine meeting
men mike mile mine mini mining minute mobile mode more my name nature nice nine no none not ocean of on one open or orange
page pan pay paying pen piece ping please police pure queen quote ran range re reading realize reduce refund release
remaining return rice ride rise route rule run running sale same sang saving saying sea secure see seen send sending sense
shame share she shoe side silver sing site size so sofa song suicide sun sure take taken tan tea ten that the there
this tie time tin to token tune use wage waiting wake wanna want wanting was what when where who why wing woman women yes you your
"""
# Syllables that nearly every shopper's pinyin has: one of them must be there.
_COMMON = """
wo ni nin hao de le ma ne ba ya shen zen shi fa huo tui kuan kuai di ding dan hai mei bu yao qing xie zai ren gong zhuan
dao cha wu liu huan xiang na zhe ge ji piao jia jian bao dian hua qu xiao gai zhi mai xiu tou su kan dui zhong guo yong duo
hui quan shang hou qian
"""
SYLLABLES = frozenset(_TABLE.split())
_ENGLISH = frozenset(_ENGLISH_WORDS.split())
_SIGNS = frozenset(_COMMON.split())
_WORD = re.compile(r"[a-z]+")
_TONE = re.compile(r"[1-5](?![0-9])")  # tui4


@lru_cache(maxsize=50_000)
def syllables(word: str) -> tuple[str, ...]:
    """The fewest syllables that spell a word of small Latin letters; empty when none do."""
    best: list[tuple[str, ...] | None] = [(), *([None] * len(word))]
    for end in range(1, len(word) + 1):
        for start in range(max(0, end - LONGEST), end):
            before = best[start]
            if before is not None and word[start:end] in SYLLABLES:
                found = (*before, word[start:end])
                known = best[end]
                if known is None or len(found) < len(known):
                    best[end] = found
    return best[-1] or ()


@lru_cache(maxsize=20_000)
def readings(character: str) -> tuple[str, ...]:
    """How a Chinese character may be read, the usual way first; empty for anything else."""
    from pypinyin import Style, pinyin

    found = pinyin(character, style=Style.NORMAL, heteronym=True, errors="ignore")
    return tuple(dict.fromkeys(one.replace("ü", "v") for one in found[0])) if found else ()


def is_pinyin(text: str) -> bool:
    """Whether Latin letters spell Chinese: all words are syllables, most are not English, some are common in pinyin.

    One word alone needs two common syllables: "chakuaidi" is Chinese, "ma" is nothing and "nike" a name.
    """
    words = _WORD.findall(_TONE.sub("", text.lower()))
    if not words or any(not syllables(word) for word in words):
        return False
    spoken = [one for word in words for one in syllables(word)]
    signs = sum(one in _SIGNS for one in spoken)
    english = sum(word in _ENGLISH for word in words)
    return len(spoken) > 1 and signs >= (2 if len(words) == 1 else 1) and english * 3 <= len(words)
