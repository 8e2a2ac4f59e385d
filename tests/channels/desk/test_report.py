"""The report at the desk: for leads, with the figures of `kefu report`."""

from __future__ import annotations

from pathlib import Path

from tests.channels.desk.house import Colleague, open_house


async def test_only_leads_read_the_report_and_it_counts_what_happened(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        await house.hear("转人工")
        await house.quiet()
        lin, wu = await house.person("lin"), await house.person("wu", "lead")
        stranger = Colleague(house, "nobody")
        answers, policies = {}, []
        for name, who in (("lin", lin), ("wu", wu), ("nobody", stranger)):
            async with who.session.get(f"{house.url}/desk/report") as response:
                answers[name] = (response.status, await response.text())
                policies.append(response.headers.get("Content-Security-Policy"))
        async with wu.session.get(f"{house.url}/desk/report?days=0") as response:
            bad = response.status
        await stranger.session.close()

    assert [answers[name][0] for name in ("lin", "wu", "nobody")] == [403, 200, 401] and bad == 400
    text = answers["wu"][1]
    assert "真正解决" in text and "<svg" in text and "asked" in text
    assert "default-src 'none'" in policies[1] and "script-src" not in policies[1]
