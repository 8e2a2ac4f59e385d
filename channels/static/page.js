/* The gateway's own pages: puts the chat into #chat and takes site, language and identity from the address. */
(() => {
  "use strict";
  const address = new URL(location.href);
  const chat = document.createElement("kefu-chat");
  chat.setAttribute("mode", "page");
  chat.setAttribute("site", address.searchParams.get("site") || "demo");
  for (const name of ["lang", "theme", "identity"]) {
    const value = address.searchParams.get(name);
    if (value) chat.setAttribute(name, value);
  }
  if (address.searchParams.has("identity")) {
    // A proof of who somebody is does not belong into the history or a copied address.
    address.searchParams.delete("identity");
    history.replaceState(null, "", address);
  }
  const theme = address.searchParams.get("theme");
  if (theme) document.documentElement.dataset.theme = theme;
  const language = (lang) => {
    document.documentElement.lang = lang === "zh" ? "zh-CN" : "en";
    document.body.dataset.language = lang;
  };
  chat.addEventListener("kefu-ready", () => language(chat.lang_));
  chat.addEventListener("kefu-language", (event) => language(event.detail.language));
  document.getElementById("chat").append(chat);
  for (const button of document.querySelectorAll("[data-say]"))
    button.addEventListener("click", () => { chat.sendText(button.dataset.say); chat.open(); });
})();
