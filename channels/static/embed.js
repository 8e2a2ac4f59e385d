/* Kefu web chat: one custom element in a shadow root, no dependency, no build step.
 *
 *   <script src="https://GATEWAY/embed.js" data-site="SITE" async></script>
 *
 * puts a launcher on the page. <kefu-chat site="SITE" mode="page"> fills its box instead.
 * Speaks the protocol of docs/web-chat.md. Builds every node itself: what a shopper, a person or a bot
 * wrote never becomes markup. Needs no inline style and no eval, so a strict CSP is fine.
 */
(() => {
  "use strict";
  if (window.Kefu) return;

  const script = document.currentScript;
  const SERVER = new URL(script ? script.src : location.href).origin;

  // ------------------------------------------------------------------ words
  const WORDS = {
    zh: {
      title: "在线客服", open: "打开客服对话", close: "关闭对话", log: "对话记录", write: "请输入您的问题…",
      send: "发送", attach: "发送图片或文件", other: "EN", switch: "Switch to English", you: "您", bot: "智能客服",
      person: "人工客服", sending: "发送中", sent: "已发送", failed: "未发送，点击重试", typing: "正在输入",
      offline: "网络已断开，消息会在恢复后自动发送", connecting: "正在连接…", replaced: "已在其他窗口打开对话",
      here: "在这里继续", pending: "正在为您转接人工客服，请稍候", withPerson: "人工客服{agent}正在为您服务",
      closed: "本次人工服务已结束", back: "已转回智能客服", online: "智能客服 · 随时在线", waiting: "等待人工客服",
      staffed: "人工客服{agent}为您服务", today: "今天", yesterday: "昨天", unread: "条未读消息",
      hello: "您好，我是客服小助手", intro: "查物流、退换货、改地址，直接告诉我就行。",
      starts: ["我的包裹到哪了？", "我想退货", "我要退款", "转人工客服"], rate: "这次服务您满意吗？",
      comment: "还想说点什么？（选填）", submit: "提交", thanks: "感谢您的评价！", stars: "{n} 分",
      image: "图片", voice: "语音", video: "视频", file: "文件", uploading: "上传中…", tooBig: "文件太大了（最大 {mb} MB）",
      badType: "只支持图片、PDF、视频（MP4）和语音", uploadFailed: "上传失败，请重试", noMoreFiles: "已达到每天可发送的文件数上限，请稍后再试",
      tooLong: "还可以输入 {n} 字", over: "超出 {n} 字", sources: "参考资料",
      more: "查看更早的消息", expired: "登录已过期，已切换为访客身份。请刷新页面重新登录。", details: "查看详情",
      busy: "消息发得有点快，稍后会自动发送",
    },
    en: {
      title: "Customer care", open: "Open the chat", close: "Close the chat", log: "Conversation", write: "Type your question…",
      send: "Send", attach: "Send a picture or file", other: "中文", switch: "切换到中文", you: "You", bot: "Assistant",
      person: "Customer care", sending: "Sending", sent: "Sent", failed: "Not sent, tap to retry", typing: "is typing",
      offline: "You are offline; your messages will go out when you are back", connecting: "Connecting…",
      replaced: "The chat is open in another window", here: "Continue here",
      pending: "Passing you on to a person, one moment please", withPerson: "{agent} is here to help you",
      closed: "The conversation with a person has ended", back: "You are back with the assistant",
      online: "Assistant · always here", waiting: "Waiting for a person", staffed: "You are talking to {agent}",
      today: "Today", yesterday: "Yesterday", unread: "unread messages",
      hello: "Hello, I am the shop's assistant", intro: "Parcels, returns, refunds, addresses: just tell me.",
      starts: ["Where is my parcel?", "I want to return something", "I want a refund", "Talk to a person"],
      rate: "How did we do?", comment: "Anything else? (optional)", submit: "Send", thanks: "Thank you for your rating!",
      stars: "{n} of 5", image: "Picture", voice: "Voice message", video: "Video", file: "File", uploading: "Uploading…",
      tooBig: "The file is too big (at most {mb} MB)", badType: "Only pictures, PDF, video (MP4) and voice, please",
      uploadFailed: "The upload failed, please try again", noMoreFiles: "No more files for today, please try again later",
      tooLong: "{n} characters left", over: "{n} characters too many", sources: "Sources", more: "Show earlier messages",
      expired: "Your sign-in has expired and you are a guest now. Reload the page to sign in again.", details: "Details",
      busy: "That was rather quick; the message will go out in a moment",
    },
  };

  // ------------------------------------------------------------------ looks
  const CSS = `
:host{all:initial;--a:var(--kefu-accent,#2455d6);--at:var(--kefu-accent-text,#fff);--bg:var(--kefu-background,#fff);
--sf:var(--kefu-surface,#f3f5f9);--tx:var(--kefu-text,#1a2233);--mu:var(--kefu-muted,#5b6577);--ln:var(--kefu-line,#e2e6ee);
--me:var(--kefu-mine,#dfe8ff);--mt:var(--kefu-mine-text,#12224d);--er:var(--kefu-error,#b3261e);--rd:var(--kefu-radius,16px);
--sh:0 12px 40px rgba(16,24,48,.18),0 2px 8px rgba(16,24,48,.08);color-scheme:light;
font-family:var(--kefu-font,system-ui,-apple-system,"Segoe UI","PingFang SC","Hiragino Sans GB","Microsoft YaHei","Noto Sans CJK SC",sans-serif);
font-size:15px;line-height:1.5;color:var(--tx)}
:host([hidden]){display:none}
@media (prefers-color-scheme:dark){:host(:not([theme=light])){--a:var(--kefu-accent,#86a8ff);--at:var(--kefu-accent-text,#0c1633);
--bg:var(--kefu-background,#151a24);--sf:var(--kefu-surface,#212938);--tx:var(--kefu-text,#e8ecf4);--mu:var(--kefu-muted,#a3aec2);
--ln:var(--kefu-line,#313b4e);--me:var(--kefu-mine,#2b4180);--mt:var(--kefu-mine-text,#edf2ff);--er:var(--kefu-error,#ff9b93);
--sh:0 12px 40px rgba(0,0,0,.5);color-scheme:dark}}
:host([theme=dark]){--a:var(--kefu-accent,#86a8ff);--at:var(--kefu-accent-text,#0c1633);--bg:var(--kefu-background,#151a24);
--sf:var(--kefu-surface,#212938);--tx:var(--kefu-text,#e8ecf4);--mu:var(--kefu-muted,#a3aec2);--ln:var(--kefu-line,#313b4e);
--me:var(--kefu-mine,#2b4180);--mt:var(--kefu-mine-text,#edf2ff);--er:var(--kefu-error,#ff9b93);color-scheme:dark}
*{box-sizing:border-box;margin:0}
button,textarea{font:inherit;color:inherit}
button{cursor:pointer;border:0;background:none;padding:0}
button:disabled{cursor:default;opacity:.45}
:focus-visible{outline:2px solid var(--a);outline-offset:2px}
svg{display:block;fill:none;stroke:currentColor;stroke-width:1.8;stroke-linecap:round;stroke-linejoin:round}
.sr{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
[hidden]{display:none!important}
.launch{position:fixed;right:calc(20px + env(safe-area-inset-right));bottom:calc(20px + env(safe-area-inset-bottom));
width:58px;height:58px;border-radius:50%;background:var(--a);color:var(--at);box-shadow:var(--sh);display:grid;place-items:center;
z-index:var(--kefu-z,2147483000);transition:transform .15s}
.launch:hover{transform:translateY(-2px)}
.badge{position:absolute;top:-2px;right:-2px;min-width:21px;height:21px;border-radius:11px;background:#c62828;color:#fff;font-size:12px;
font-weight:600;display:grid;place-items:center;padding:0 5px}
.panel{display:flex;flex-direction:column;background:var(--bg);color:var(--tx);overflow:hidden;position:relative}
.widget .panel{position:fixed;right:calc(20px + env(safe-area-inset-right));bottom:calc(20px + env(safe-area-inset-bottom));
width:392px;height:min(660px,calc(100dvh - 40px));border-radius:var(--rd);box-shadow:var(--sh);border:1px solid var(--ln);
z-index:var(--kefu-z,2147483000)}
.page,.page .panel{height:100%}
header{display:flex;align-items:center;gap:10px;padding:12px 14px;border-bottom:1px solid var(--ln);flex:none}
.face{width:38px;height:38px;border-radius:12px;background:var(--a);color:var(--at);display:grid;place-items:center;flex:none}
.who{flex:1;min-width:0}
h2{font-size:15.5px;font-weight:650;line-height:1.3}
.state{font-size:12.5px;color:var(--mu);line-height:1.35;white-space:nowrap;overflow:hidden;text-overflow:ellipsis}
.dot{display:inline-block;width:7px;height:7px;border-radius:50%;background:#1f9d55;margin-right:6px;vertical-align:1px}
.dot.wait{background:#d98a00}.dot.off{background:#8b93a3}
.tool{min-width:38px;height:38px;border-radius:10px;display:grid;place-items:center;color:var(--mu);font-size:13px;padding:0 8px}
.tool:hover{background:var(--sf);color:var(--tx)}
.note{font-size:13px;padding:8px 14px;background:var(--sf);color:var(--tx);border-bottom:1px solid var(--ln);display:flex;gap:10px;align-items:center;justify-content:space-between}
.note button{color:var(--a);font-weight:600}
.log{flex:1;overflow-y:auto;overflow-x:hidden;padding:14px;display:flex;flex-direction:column;gap:4px;overscroll-behavior:contain;scroll-behavior:smooth}
.log:focus-visible{outline-offset:-3px}
.still{scroll-behavior:auto}
.hi{margin:auto 0;padding:10px 4px 18px;text-align:center}
.hi .face{width:54px;height:54px;border-radius:18px;margin:0 auto 12px}
.hi p{font-size:19px;font-weight:650}
.hi p+p{font-size:14.5px;font-weight:400;color:var(--mu);margin:4px 0 16px}
.chips{display:flex;flex-wrap:wrap;gap:8px}
.hi .chips{justify-content:center}
.chip{border:1px solid var(--a);color:var(--a);background:var(--bg);border-radius:18px;padding:7px 14px;font-size:14px;line-height:1.35;text-align:left;max-width:100%;overflow-wrap:anywhere}
.chip:hover{background:var(--a);color:var(--at)}
.day,.line{align-self:center;font-size:12.5px;color:var(--mu);text-align:center;padding:8px 12px 6px}
.line{background:var(--sf);border-radius:12px;padding:4px 12px;margin:8px 0;max-width:92%}
.msg{display:flex;flex-direction:column;max-width:86%;align-self:flex-start;gap:4px;margin-top:6px}
.msg.next{margin-top:0}
.msg.next>.by{display:none}
.msg.me{align-self:flex-end;align-items:flex-end}
.by{font-size:12px;color:var(--mu);padding:0 4px}
.bub{background:var(--sf);padding:9px 13px;border-radius:4px 16px 16px;white-space:pre-wrap;overflow-wrap:anywhere;width:fit-content;max-width:100%}
.me .bub{background:var(--me);color:var(--mt);border-radius:16px 4px 16px 16px}
.bub a{color:inherit;text-decoration:underline;text-underline-offset:2px}
.st{font-size:12px;color:var(--mu);padding:0 4px}
.st.bad{color:var(--er);text-decoration:underline}
.old{align-self:center;color:var(--a);font-size:13.5px;padding:6px 10px}
.card{border:1px solid var(--ln);border-radius:14px;overflow:hidden;background:var(--bg);width:min(330px,100%)}
.card h3{font-size:14.5px;font-weight:650;padding:10px 13px;background:var(--sf);border-bottom:1px solid var(--ln);display:flex;gap:8px;align-items:center}
.card dl{padding:6px 13px 10px;font-size:14px}
.card div{display:flex;justify-content:space-between;gap:14px;padding:4px 0}
.card dt{color:var(--mu);flex:none;max-width:45%}
.card dd{text-align:right;overflow-wrap:anywhere;font-variant-numeric:tabular-nums}
.card.plan{border-color:var(--a)}
.card.receipt h3{color:#157a41}
@media (prefers-color-scheme:dark){:host(:not([theme=light])) .card.receipt h3{color:#6fd49b}}
:host([theme=dark]) .card.receipt h3{color:#6fd49b}
.card>a{display:block;padding:9px 13px;border-top:1px solid var(--ln);color:var(--a);font-size:14px;text-decoration:none;font-weight:600}
.src{font-size:13px;color:var(--mu);padding:0 4px}
.src a{color:var(--a)}
.src ul{list-style:none;padding:0}
.fl{display:flex;align-items:center;gap:8px;text-decoration:none;color:inherit}.fl small{opacity:.75;white-space:nowrap}
.pic{display:block;max-width:220px;max-height:240px;border-radius:14px;border:1px solid var(--ln);background:var(--sf)}
.msg>.chips{margin-top:4px}
.dots{display:flex;gap:5px;padding:14px}
.dots i{width:7px;height:7px;border-radius:50%;background:var(--mu);animation:k 1.2s infinite}
.dots i+i{animation-delay:.15s}.dots i+i+i{animation-delay:.3s}
@keyframes k{0%,60%,100%{opacity:.3;transform:none}30%{opacity:1;transform:translateY(-3px)}}
.rate{align-self:stretch;border:1px solid var(--ln);border-radius:14px;padding:14px;margin:10px 0;text-align:center}
.rate p{font-weight:600;margin-bottom:6px}
.rate .stars{display:flex;justify-content:center;gap:4px}
.rate .star{width:44px;height:44px;display:grid;place-items:center;color:var(--mu);border-radius:10px}
.rate .star.on svg{fill:#e8a100;stroke:#c07f00}
.rate textarea{width:100%;margin:10px 0;border:1px solid var(--ln);border-radius:10px;padding:8px 10px;background:var(--bg);resize:none}
.rate .go{background:var(--a);color:var(--at);border-radius:10px;padding:8px 20px;font-weight:600}
footer{flex:none;border-top:1px solid var(--ln);padding:10px 10px calc(10px + env(safe-area-inset-bottom))}
.box{display:flex;align-items:flex-end;gap:4px;background:var(--sf);border:1px solid transparent;border-radius:22px;padding:4px}
.box:focus-within{border-color:var(--a);background:var(--bg)}
.box textarea{flex:1;min-width:0;border:0;background:none;resize:none;outline:none;padding:8px 4px;max-height:132px;line-height:1.45;height:38px;font-size:16px}
.box textarea::placeholder{color:var(--mu);opacity:1}
.ic{width:38px;height:38px;border-radius:50%;display:grid;place-items:center;color:var(--mu);flex:none}
.ic:hover{color:var(--a)}
.ic.go{background:var(--a);color:var(--at)}
.count{font-size:12px;color:var(--mu);text-align:right;padding:4px 10px 0}
.count.bad{color:var(--er)}
.drop:after{content:"";position:absolute;inset:8px;border:2px dashed var(--a);border-radius:12px;pointer-events:none}
@media (max-width:520px){.widget .panel{inset:0;width:auto;height:var(--vh,100dvh);border-radius:0;border:0}}
@media (prefers-reduced-motion:reduce){*{animation:none!important;transition:none!important;scroll-behavior:auto!important}}
@media (forced-colors:active){.bub,.chip,.card{border:1px solid}}`;

  const ICONS = {
    chat: "M21 12a8 8 0 0 1-8 8H4l1.6-3A8 8 0 1 1 21 12Z M9 11.5h.01 M13 11.5h.01 M17 11.5h.01",
    face: "M4 13a8 8 0 0 1 16 0 M4 13v3a2 2 0 0 0 2 2h1v-6H4 M20 13v3a2 2 0 0 1-2 2h-1v-6h3 M17 18c0 2-2 3-4 3",
    close: "M6 6l12 12 M18 6 6 18", send: "M12 19V5 M6 11l6-6 6 6",
    clip: "M4 6a2 2 0 0 1 2-2h12a2 2 0 0 1 2 2v12a2 2 0 0 1-2 2H6a2 2 0 0 1-2-2Z M4 16l4.5-4.5L14 17 M13 16l3-3 4 4 M15 9h.01",
    doc: "M7 3h7l5 5v13H7Z M14 3v5h5",
    star: "M12 3.5l2.6 5.4 5.9.8-4.3 4.1 1 5.9-5.2-2.8-5.2 2.8 1-5.9L3.5 9.7l5.9-.8Z",
    ok: "M5 13l4 4L19 7",
  };

  // ------------------------------------------------------------------ small things
  const SVG = "http://www.w3.org/2000/svg";
  function icon(name, size = 22) {
    const svg = document.createElementNS(SVG, "svg");
    for (const [key, value] of [["viewBox", "0 0 24 24"], ["width", size], ["height", size], ["aria-hidden", "true"]])
      svg.setAttribute(key, value);
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", ICONS[name]);
    svg.append(path);
    return svg;
  }

  function el(tag, props, ...children) {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(props || {})) {
      if (value === undefined || value === null || value === false) continue;
      if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
      else if (key === "class") node.className = value;
      else node.setAttribute(key, value === true ? "" : value);
    }
    node.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
    return node;
  }

  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, key) => values[key] ?? "");

  function safeUrl(text) {
    try {
      const url = new URL(text, SERVER);
      return ["http:", "https:", "tel:", "mailto:"].includes(url.protocol) ? url.href : null;
    } catch {
      return null;
    }
  }

  const link = (href, text) => el("a", { href, target: "_blank", rel: "noopener noreferrer nofollow" }, text);

  // Plain text to nodes: addresses become links, **bold** and [text](address) are understood, nothing else.
  function rich(text) {
    const out = [];
    const pattern = /\*\*([^*\n]+)\*\*|\[([^\]\n]+)\]\(([^)\s]+)\)|(https?:\/\/[^\s<>"'，。；！？、（）“”]+)/g;
    let last = 0;
    for (const match of text.matchAll(pattern)) {
      out.push(text.slice(last, match.index));
      const [whole, bold, title, target, bare] = match;
      const href = safeUrl(target || bare || "");
      if (bold) out.push(el("strong", {}, bold));
      else if ((title || bare) && href) out.push(link(href, title || bare));
      else out.push(whole);
      last = match.index + whole.length;
    }
    out.push(text.slice(last));
    return out;
  }

  function randomId() {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    return btoa(String.fromCharCode(...bytes)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  }

  // Whom an identity token names (`sub`), or null. Not checked: it decides what is held back, and proves nothing.
  function subject(identity) {
    try {
      return JSON.parse(atob(identity.split(".")[1].replace(/-/g, "+").replace(/_/g, "/"))).sub ?? null;
    } catch {
      return null;
    }
  }

  // localStorage where it is allowed, memory where it is not (private windows, blocked cookies).
  class Store {
    constructor(site) {
      this.prefix = `kefu:${SERVER}:${site}:`;
      this.memory = new Map();
      try {
        localStorage.setItem(this.prefix + "?", "1");
        localStorage.removeItem(this.prefix + "?");
        this.disk = localStorage;
      } catch {
        this.disk = null;
      }
    }
    get(key) {
      if (!this.disk) return this.memory.get(key) ?? null;
      try { return this.disk.getItem(this.prefix + key); } catch { return null; }
    }
    set(key, value) {
      if (value === null) {
        this.memory.delete(key);
        try { this.disk?.removeItem(this.prefix + key); } catch { /* blocked */ }
        return;
      }
      this.memory.set(key, value);
      try { this.disk?.setItem(this.prefix + key, value); } catch { this.disk = null; }
    }
    keys(start) {
      const names = this.disk ? Object.keys(this.disk).filter((k) => k.startsWith(this.prefix)).map((k) => k.slice(this.prefix.length)) : [...this.memory.keys()];
      return names.filter((name) => name.startsWith(start));
    }
  }

  // ------------------------------------------------------------------ the line to the gateway
  // Calls `on.frame(frame)`, `on.state("connecting"|"open"|"offline"|"replaced")`. WebSocket first; where a
  // proxy lets none through, an event stream and POST.
  class Line {
    constructor(site, hello, on) {
      Object.assign(this, { site, hello, on, tries: 0, refused: 0, sse: false, open: false, stopped: true, session: null });
      this.wake = () => { if (!this.stopped && !this.open && !this.dialing) this.dial(); };
      addEventListener("online", this.wake);
      document.addEventListener("visibilitychange", () => { if (!document.hidden) this.wake(); });
    }
    url(path, extra = "") { return `${SERVER}${path}?site=${encodeURIComponent(this.site)}${extra}`; }
    start() { if (this.stopped) { this.stopped = false; this.tries = 0; this.dial(); } }
    stop() { this.stopped = true; this.hangUp(); }
    hangUp() {
      clearTimeout(this.timer); clearInterval(this.beat);
      this.open = this.dialing = false;
      this.call = null;
      const { socket, stream } = this;
      this.socket = this.stream = null;
      socket?.close(); stream?.close();
    }
    restart() { this.hangUp(); this.session = null; this.stopped = false; this.dial(); }
    dial() {
      clearTimeout(this.timer);
      this.dialing = true;
      this.on.state("connecting");
      if (this.sse) this.dialStream(); else this.dialSocket();
    }
    dialSocket() {
      let socket, welcomed = false;
      try { socket = new WebSocket(this.url("/web/socket").replace(/^http/, "ws")); } catch { this.sse = true; return this.dialStream(); }
      this.socket = socket;
      const late = setTimeout(() => socket.close(), 12000);
      socket.onopen = () => socket.send(JSON.stringify({ type: "hello", ...this.hello() }));
      socket.onmessage = (message) => {
        if (socket !== this.socket) return;
        const frame = JSON.parse(message.data);
        this.heard = Date.now();
        if (frame.type === "welcome") { clearTimeout(late); welcomed = true; this.refused = 0; this.up(frame); }
        this.on.frame(frame);
      };
      socket.onclose = (event) => {
        clearTimeout(late);
        if (socket !== this.socket) return;
        // Twice without a word, and not because nobody is there at all: something in between blocks it.
        if (!welcomed && event.code === 1006 && ++this.refused >= 2) this.sse = true;
        this.down(event.code, event.reason);
      };
    }
    async dialStream() {
      const call = this.call = {}; // what was hung up meanwhile may have been another shopper's
      try {
        const answer = await fetch(this.url("/web/session"), this.post(this.hello()));
        const frame = await answer.json();
        if (call !== this.call) return;
        if (answer.status === 401) { this.on.frame(frame); return this.down(4401, frame.code); }
        if (!answer.ok) throw new Error(answer.status);
        const stream = new EventSource(this.url("/web/stream", `&ticket=${encodeURIComponent(frame.ticket)}&last_seq=${frame.from_seq}`));
        this.stream = stream;
        this.up(frame); this.on.frame(frame);
        stream.onmessage = (message) => {
          if (stream !== this.stream) return;
          const got = JSON.parse(message.data);
          if (got.type === "close") this.down(got.code, got.reason); else this.on.frame(got);
        };
        stream.onerror = () => { if (stream === this.stream) this.down(1006, ""); };
      } catch {
        if (call !== this.call) return;
        this.sse = this.tries % 4 !== 3; // now and then look whether a socket goes through again
        this.down(1006, "");
      }
    }
    up(frame) {
      this.open = true; this.dialing = false; this.tries = 0; this.session = frame.session; this.heard = Date.now();
      clearInterval(this.beat);
      this.beat = setInterval(() => {
        if (!this.socket) return;
        if (Date.now() - this.heard > 55000) return this.socket.close(); // a dead network does not say goodbye
        this.send({ type: "ping" });
      }, 25000);
      this.on.state("open");
    }
    down(code, reason) {
      this.hangUp();
      if (this.stopped) return;
      if (code === 4408) { this.stopped = true; return this.on.state("replaced"); }
      if (code === 4401) this.on.refused(reason);
      if (this.dialing) return; // the page had a fresh identity at hand
      this.on.state("offline");
      const wait = code === 4429 ? 30000 : code === 4401 && this.tries < 2 ? 50 : Math.min(20000, 400 * 2 ** Math.min(this.tries, 8)) * (0.5 + Math.random());
      this.tries += 1;
      this.timer = setTimeout(() => this.dial(), wait);
    }
    post(body) {
      const headers = { "Content-Type": "application/json" };
      if (this.session) headers.Authorization = `Bearer ${this.session}`;
      return { method: "POST", headers, body: JSON.stringify(body) };
    }
    // True when it left; what matters is stored and sent again until it is acknowledged.
    send(frame) {
      if (!this.open) return false;
      if (this.socket) {
        if (this.socket.readyState !== 1) return false;
        this.socket.send(JSON.stringify(frame));
        return true;
      }
      const call = this.call;
      fetch(this.url("/web/send"), this.post({ frame }))
        .then(async (answer) => {
          const frames = answer.status === 401 ? null : (await answer.json()).frames || [];
          if (call !== this.call) return;
          if (!frames) return this.down(1006, "");
          for (const got of frames) this.on.frame(got);
        })
        .catch(() => { if (call === this.call) this.down(1006, ""); });
      return true;
    }
    async upload(file) {
      const once = () => fetch(this.url("/web/upload"), { method: "POST", headers: { Authorization: `Bearer ${this.session}`, "Content-Type": "application/octet-stream" }, body: file });
      let answer = await once();
      if (answer.status === 401) {
        const fresh = await fetch(this.url("/web/session"), this.post(this.hello()));
        if (fresh.ok) { this.session = (await fresh.json()).session; answer = await once(); }
      }
      return { status: answer.status, body: await answer.json().catch(() => ({})) };
    }
  }

  // ------------------------------------------------------------------ the element
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(CSS);

  class KefuChat extends HTMLElement {
    static observedAttributes = ["lang", "identity"];

    connectedCallback() {
      if (this.line) { this.line.start(); return; }
      this.site = this.getAttribute("site") || "demo";
      this.page = this.getAttribute("mode") === "page";
      this.store = new Store(this.site);
      this.identity = this.getAttribute("identity");
      this.lang_ = this.firstLanguage();
      Object.assign(this, { seq: 0, first: 0, read: 0, welcomed: false, conversation: null, owner: "bot", agent: null, opened: this.page, state: "offline", pending: new Map(), unread: 0, maxText: 2000, listeners: {}, lastDay: "", notice: null, follow: true, top: 0 });
      this.root = this.attachShadow({ mode: "open" });
      this.root.adoptedStyleSheets = [sheet];
      this.build();
      this.line = new Line(this.site, () => this.helloFields(), {
        frame: (frame) => this.onFrame(frame), state: (state) => this.onState(state), refused: (why) => this.onRefused(why),
      });
      this.tabs = "BroadcastChannel" in window ? new BroadcastChannel(this.store.prefix) : null;
      if (this.tabs) this.tabs.onmessage = ({ data }) => { if (data.read > this.read) { this.read = data.read; this.countUnread(); } };
      document.addEventListener("visibilitychange", () => this.seen());
      for (const key of this.store.keys("q:")) this.restore(key);
      // A new visitor is nobody until he opens the chat; one who was here may have an answer waiting.
      if (this.page || this.identity || this.store.get("token")) this.line.start();
      if (this.hasAttribute("open")) this.open();
      queueMicrotask(() => this.emit("ready", {}));
    }
    disconnectedCallback() { this.line?.stop(); }
    attributeChangedCallback(name, before, after) {
      if (!this.line || before === after) return;
      if (name === "lang") this.setLanguage(after); else this.identify(after);
    }

    firstLanguage() {
      const known = (value) => (/^zh/i.test(value || "") ? "zh" : /^en/i.test(value || "") ? "en" : null);
      const wishes = [this.getAttribute("lang"), this.store.get("lang"), this.page ? null : document.documentElement.lang, ...(navigator.languages || [navigator.language])];
      return wishes.map(known).find(Boolean) || "en";
    }
    get t() { return WORDS[this.lang_]; }
    get who() { return subject(this.identity); }
    helloFields() {
      return { token: this.store.get("token") || undefined, identity: this.identity || undefined, locale: this.lang_, conversation: this.conversation || undefined, last_seq: this.welcomed ? this.seq : undefined };
    }

    // -------------------------------------------------------------- frame of the panel
    build() {
      const t = this.t;
      this.root.replaceChildren();
      this.log = el("div", { class: "log", role: "log", "aria-label": t.log, "aria-live": "polite", tabindex: "0", onscroll: () => this.onScroll() });
      this.input = el("textarea", { rows: "1", placeholder: t.write, "aria-label": t.write, enterkeyhint: "send", oninput: () => this.grow(), onkeydown: (e) => this.onKey(e), onpaste: (e) => this.onPaste(e) });
      this.file = el("input", { type: "file", accept: "image/jpeg,image/png,image/gif,image/webp,application/pdf,video/mp4,audio/mpeg,audio/mp4,audio/ogg", hidden: true, onchange: () => { for (const f of this.file.files) this.sendFile(f); this.file.value = ""; } });
      this.goButton = el("button", { class: "ic go", type: "button", "aria-label": t.send, disabled: true, onclick: () => this.submit() }, icon("send", 20));
      this.noteBox = el("div", { class: "note", role: "status", hidden: true });
      this.countBox = el("div", { class: "count", hidden: true });
      this.stateText = el("span");
      this.stateDot = el("span", { class: "dot off" });
      this.panel = el("section", { class: "panel", role: this.page ? "region" : "dialog", "aria-label": this.getAttribute("title") || t.title, onkeydown: (e) => { if (e.key === "Escape" && !this.page && !e.isComposing) this.close(); } },
        el("header", {}, el("div", { class: "face" }, icon("face")),
          el("div", { class: "who" }, el("h2", {}, this.getAttribute("title") || t.title), el("div", { class: "state" }, this.stateDot, this.stateText)),
          el("button", { class: "tool", type: "button", lang: this.lang_ === "zh" ? "en" : "zh", "aria-label": `${t.other}: ${t.switch}`, onclick: () => this.setLanguage(this.lang_ === "zh" ? "en" : "zh", true) }, t.other),
          this.page ? "" : el("button", { class: "tool", type: "button", "aria-label": t.close, onclick: () => this.close() }, icon("close"))),
        this.noteBox, this.log,
        el("footer", {}, el("div", { class: "box" }, this.file, el("button", { class: "ic", type: "button", "aria-label": t.attach, onclick: () => this.file.click() }, icon("clip")), this.input, this.goButton), this.countBox));
      this.panel.addEventListener("dragover", (e) => { e.preventDefault(); this.panel.classList.add("drop"); });
      this.panel.addEventListener("dragleave", () => this.panel.classList.remove("drop"));
      this.panel.addEventListener("drop", (e) => { e.preventDefault(); this.panel.classList.remove("drop"); for (const f of e.dataTransfer.files) this.sendFile(f); });
      this.badge = el("span", { class: "badge", hidden: true });
      this.launcher = this.page ? null : el("button", { class: "launch", type: "button", "aria-haspopup": "dialog", "aria-label": t.open, onclick: () => this.open() }, icon("chat", 28), this.badge);
      const frame = el("div", { class: this.page ? "page" : "widget", lang: this.lang_ === "zh" ? "zh-CN" : "en" }, this.panel, this.launcher);
      this.root.append(frame);
      this.show();
      this.paintState();
      this.greet();
      if (window.visualViewport && !this.page) {
        const fit = () => this.panel.style.setProperty("--vh", `${visualViewport.height}px`);
        visualViewport.addEventListener("resize", fit);
        fit();
      }
    }
    show() {
      this.panel.hidden = !this.opened;
      if (this.launcher) this.launcher.hidden = this.opened;
    }
    open() {
      if (!this.opened) { this.opened = true; this.show(); this.emit("open", {}); }
      this.line.start();
      this.bottom(true);
      this.input.focus();
      this.seen();
    }
    close() {
      if (this.page || !this.opened) return;
      this.opened = false;
      this.show();
      this.launcher.focus();
      this.emit("close", {});
    }
    setLanguage(lang, chosen) {
      const next = /^zh/i.test(lang || "") ? "zh" : "en";
      if (next === this.lang_) return;
      this.lang_ = next;
      if (chosen) this.store.set("lang", next);
      const lines = this.lines || [], draft = this.input.value, pending = [...this.pending.values()];
      this.pending.clear();
      this.build();
      this.input.value = draft;
      this.grow();
      this.repaint(lines);
      for (const item of pending) this.showPending(item);
      this.bottom(true);
      if (chosen) this.input.focus();
      this.emit("language", { language: next });
    }
    identify(identity) {
      identity ||= null;
      if (identity === this.identity) return;
      const before = this.who;
      this.identity = identity;
      this.notice = null;
      for (const item of [...this.pending.values()]) if (this.foreign(item)) this.drop(item);
      if (!before || before !== this.who) this.forget(); // a fresh token of the same customer goes on where he is
      this.paintState();
      this.line.restart();
    }
    reset() { // sign out: nothing of this visitor stays
      this.identity = this.notice = null;
      this.store.set("token", null);
      for (const key of this.store.keys("q:")) this.store.set(key, null);
      this.pending.clear();
      this.forget();
      this.paintState();
      this.line.restart();
    }
    forget() { // what is shown, not what is still to be sent: that goes out after the next welcome
      Object.assign(this, { welcomed: false, conversation: null, seq: 0, first: 0, read: 0, lines: [] });
      for (const item of [...this.pending.values()]) if (item.acked) this.drop(item);
      this.clear();
      for (const item of this.pending.values()) this.log.append(item.node);
    }
    on(name, listener) {
      (this.listeners[name] ||= new Set()).add(listener);
      return () => this.listeners[name].delete(listener);
    }
    emit(name, detail) {
      for (const listener of this.listeners[name] || []) try { listener(detail); } catch (error) { console.error(error); }
      this.dispatchEvent(new CustomEvent(`kefu-${name}`, { detail, bubbles: true, composed: true }));
    }

    // -------------------------------------------------------------- from the gateway
    onState(state) {
      this.state = state;
      clearTimeout(this.stateTimer);
      // Short gaps are not worth a word.
      this.stateTimer = setTimeout(() => this.paintState(), state === "open" ? 0 : 900);
      this.emit("connection", { state });
    }
    onRefused(why) {
      if (why === "token") this.store.set("token", null);
      if (why === "identity" || why === "identity_expired") {
        this.identity = null;
        this.notice = "expired";
        this.forget();
        this.paintState();
        this.emit("identity_expired", {});
      }
      if (why === "moved") this.forget();
    }
    onFrame(frame) {
      const handler = { welcome: "onWelcome", event: "onEvent", ack: "onAck", typing: "onTyping", error: "onError", history: "onHistory" }[frame.type];
      if (handler) this[handler](frame);
    }
    onWelcome(frame) {
      this.store.set("token", frame.token);
      if (frame.fresh || this.conversation !== frame.conversation) {
        const queued = [...this.pending.values()];
        this.lines = [];
        this.pending.clear();
        this.clear();
        Object.assign(this, { seq: frame.from_seq, first: frame.from_seq });
        for (const item of queued) this.showPending(item);
        if (frame.from_seq > 0) this.olderButton();
      }
      Object.assign(this, { welcomed: true, conversation: frame.conversation, owner: frame.owner, agent: frame.agent, maxText: frame.max_text, maxUpload: frame.max_upload });
      this.read = Math.max(this.read, frame.read_seq);
      this.upTo = frame.seq;
      this.paintState();
      this.log.classList.add("still");
      setTimeout(() => this.log.classList.remove("still"), 600);
      if (frame.signed_in) for (const item of this.pending.values()) this.claim(item);
      this.transmitAll();
      if (frame.seq === 0) this.greet();
    }
    onEvent(event) {
      if (event.seq <= this.seq) return; // a repeat
      this.seq = event.seq;
      (this.lines ||= []).push(event);
      this.paint(event);
      if (event.kind === "owner") {
        this.owner = event.owner;
        this.agent = event.agent;
        this.paintState();
        this.emit("owner", { owner: event.owner, agent: event.agent });
      }
      if (event.kind === "message" && event.author !== "shopper") {
        this.onTyping({ on: false });
        this.emit("message", { text: event.text || "", author: event.author, seq: event.seq });
      }
      this.seen();
      this.countUnread();
    }
    onHistory(frame) {
      const mark = (this.lines || []).find((line) => line.node), focused = this.log.contains(this.root.activeElement);
      const place = mark && mark.node.offsetTop - this.log.scrollTop;
      this.first = frame.events.length ? frame.events[0].seq - 1 : 0;
      this.repaint([...frame.events, ...(this.lines || [])]);
      if (frame.more) this.olderButton();
      this.log.classList.add("still");
      if (mark) this.log.scrollTop = mark.node.offsetTop - place; // what was read stays where it was
      this.log.classList.remove("still");
      this.follow = this.near();
      if (focused) this.log.focus({ preventScroll: true });
    }
    onAck(frame) {
      const item = this.pending.get(frame.client_id);
      this.store.set(`q:${frame.client_id}`, null);
      if (item) { item.acked = true; this.paintPending(item); }
    }
    onTyping(frame) {
      clearTimeout(this.typingTimer);
      this.dots?.remove();
      this.dots = null;
      if (!frame.on) return;
      const name = this.t.bot;
      this.dots = el("div", { class: "msg", role: "status" }, el("span", { class: "sr" }, `${name} ${this.t.typing}`), el("div", { class: "bub dots", "aria-hidden": "true" }, el("i"), el("i"), el("i")));
      this.log.append(this.dots);
      if (this.follow) this.bottom();
      this.typingTimer = setTimeout(() => this.onTyping({ on: false }), 45000);
    }
    onError(frame) {
      const item = this.pending.get(frame.client_id);
      if (!item) return;
      if (frame.code === "rate") {
        this.notice ||= "busy";
        this.paintState();
        setTimeout(() => { if (this.notice === "busy") this.notice = null; this.paintState(); if (this.pending.has(item.client_id)) this.transmit(item); }, Math.max(1000, (frame.retry_after || 2) * 1000 + 200));
        return;
      }
      Object.assign(item, { failed: true, why: null });
      this.store.set(`q:${item.client_id}`, null);
      this.paintPending(item);
    }

    // -------------------------------------------------------------- what is shown
    clear() {
      this.log.replaceChildren();
      Object.assign(this, { lastDay: "", hi: null, dots: null, older: null, lastBy: "", follow: true, top: 0 });
    }
    repaint(lines) { // moves nothing and says nothing: the same lines again, or earlier ones above them
      const pending = [...this.pending.values()];
      this.log.setAttribute("aria-live", "off");
      clearTimeout(this.liveTimer);
      this.liveTimer = setTimeout(() => this.log.setAttribute("aria-live", "polite"), 500);
      this.clear();
      this.lines = [];
      this.repainting = true;
      for (const event of lines) { this.lines.push(event); this.paint(event); }
      this.repainting = false;
      for (const item of pending) this.log.append(item.node);
      if (!lines.length && !pending.length) this.greet();
      if (this.first > 0) this.olderButton();
    }
    olderButton() {
      this.older?.remove();
      this.older = el("button", { class: "old", type: "button", onclick: () => this.line.send({ type: "history", before: this.first + 1 }) }, this.t.more);
      this.log.prepend(this.older);
    }
    greet() {
      if (this.hi || (this.lines || []).length || this.pending.size) return;
      const t = this.t;
      this.hi = el("div", { class: "hi" }, el("div", { class: "face" }, icon("face", 30)), el("p", {}, t.hello), el("p", {}, t.intro),
        el("div", { class: "chips" }, ...t.starts.map((text) => el("button", { class: "chip", type: "button", onclick: () => { this.sendText(text); this.input.focus(); } }, text))));
      this.log.append(this.hi);
    }
    add(node, mine) {
      this.hi?.remove();
      this.hi = null;
      const anchor = [...this.pending.values()].map((item) => item.node).find((n) => n && n.parentNode === this.log) || this.dots;
      this.log.insertBefore(node, anchor && anchor.parentNode === this.log ? anchor : null);
      if (!this.repainting && (this.follow || mine)) this.bottom();
    }
    near() { return this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < 160; }
    // Whoever is at the end follows what comes, until he scrolls up. What grows or glides down by itself is not he.
    onScroll() {
      if (this.near()) this.follow = true; else if (this.log.scrollTop < this.top) this.follow = false;
      this.top = this.log.scrollTop;
      this.seen();
    }
    bottom(now) {
      this.follow = true;
      if (now) this.log.classList.add("still");
      requestAnimationFrame(() => { if (this.follow) this.log.scrollTop = this.log.scrollHeight; if (now) this.log.classList.remove("still"); });
    }
    paint(event) {
      if (event.kind === "message") this.paintMessage(event);
      else if (event.kind === "owner") this.paintOwner(event);
      else if (event.kind === "rating_request") this.paintRating(event);
      else if (event.kind === "rating") { this.log.querySelector(`[data-rate="${Number(event.of)}"]`)?.remove(); this.add(el("div", { class: "line" }, this.t.thanks)); }
    }
    paintOwner(event) {
      const t = this.t;
      const text = { pending: t.pending, person: fill(t.withPerson, { agent: event.agent ? (this.lang_ === "zh" ? ` ${event.agent} ` : event.agent) : this.lang_ === "zh" ? "" : t.person }), closed: t.closed, bot: t.back }[event.owner];
      if (event.owner === "bot" && event.reason === "shopper_wrote") return;
      if (text) { this.dropChips(); this.add(el("div", { class: "line" }, text)); this.lastBy = ""; }
    }
    day(at) {
      const date = new Date(at), key = date.toDateString();
      if (key === this.lastDay) return;
      this.lastDay = key;
      this.lastBy = "";
      const now = new Date(), gone = Math.round((new Date(now.toDateString()) - new Date(key)) / 86400000);
      const text = gone === 0 ? this.t.today : gone === 1 ? this.t.yesterday : date.toLocaleDateString(this.lang_ === "zh" ? "zh-CN" : "en", { month: "long", day: "numeric", weekday: "short" });
      this.add(el("div", { class: "day" }, text));
    }
    dropChips() { for (const chips of this.log.querySelectorAll(".msg>.chips")) chips.remove(); }
    paintMessage(event) {
      const mine = event.author === "shopper", t = this.t;
      if (mine) {
        this.dropChips();
        const waiting = this.pending.get(event.client_id);
        if (waiting) this.drop(waiting);
      }
      this.day(event.at);
      const by = mine ? "me" : event.author === "person" ? `p:${event.agent || ""}` : "bot";
      const time = new Date(event.at).toLocaleTimeString(this.lang_ === "zh" ? "zh-CN" : "en", { hour: "2-digit", minute: "2-digit", hour12: false });
      const name = mine ? t.you : event.author === "person" ? event.agent || t.person : t.bot;
      const node = event.node = el("div", { class: `msg${mine ? " me" : ""}${by === this.lastBy ? " next" : ""}` }, el("span", { class: mine ? "sr" : "by" }, `${name} · ${time}`), ...this.content(event));
      this.lastBy = by;
      if (!mine && event.buttons?.length) node.append(this.chips(event.buttons));
      this.add(node, mine);
    }
    content(event) {
      const parts = [];
      for (const item of event.media || []) parts.push(item.kind === "image" ? this.picture(SERVER + item.url) : this.fileBox(item, SERVER + item.url));
      if (event.image && safeUrl(event.image)) parts.push(this.picture(safeUrl(event.image)));
      const text = event.card?.lead || event.text;
      if (text) parts.push(el("div", { class: "bub", lang: event.language === "zh" ? "zh-CN" : event.language }, ...(event.author === "shopper" ? [text] : rich(text))));
      if (event.card) {
        const { kind, title, rows, url } = event.card;
        parts.push(el("div", { class: `card ${["order", "plan", "receipt", "article"].includes(kind) ? kind : ""}` }, el("h3", {}, kind === "receipt" ? icon("ok", 18) : "", title),
          rows?.length ? el("dl", {}, ...rows.map(([k, v]) => el("div", {}, el("dt", {}, k), el("dd", {}, v)))) : "", url && safeUrl(url) ? link(safeUrl(url), this.t.details) : ""));
      }
      if (event.citations?.length)
        parts.push(el("div", { class: "src" }, `${this.t.sources}`, el("ul", {}, ...event.citations.map(([title, url]) => el("li", {}, safeUrl(url) && url ? link(safeUrl(url), title) : title)))));
      return parts;
    }
    picture(url) {
      const image = el("img", { class: "pic", src: url, alt: this.t.image, loading: "lazy", onload: () => { if (this.follow) this.bottom(); } });
      return el("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, image);
    }
    fileBox(item, url) {
      const size = item.size >= 1048576 ? `${(item.size / 1048576).toFixed(1)} MB` : `${Math.max(1, Math.round(item.size / 1024))} KB`;
      const kind = item.content_type === "application/pdf" ? "PDF" : this.t[item.kind] || this.t.file;
      return el(url ? "a" : "div", { class: "bub fl", ...(url && { href: url, target: "_blank", rel: "noopener noreferrer" }) }, icon("doc", 20), item.name || kind, el("small", {}, size));
    }
    chips(buttons) {
      return el("div", { class: "chips", role: "group" }, ...buttons.map((button) => el("button", { class: "chip", type: "button", onclick: () => { this.enqueue({ type: "press", token: button.token, text: button.title }); this.input.focus(); } }, button.title)));
    }
    paintRating(event) {
      const t = this.t;
      if ((this.lines || []).some((line) => line.kind === "rating" && line.of === event.seq)) return;
      let score = 0;
      const comment = el("textarea", { rows: "2", maxlength: "1000", placeholder: t.comment, "aria-label": t.comment });
      const send = el("button", { class: "go", type: "button", disabled: true, onclick: () => { send.disabled = true; this.line.send({ type: "rating", client_id: randomId(), of: event.seq, score, comment: comment.value }); this.emit("rating", { score }); } }, t.submit);
      const stars = [1, 2, 3, 4, 5].map((n) => el("button", { class: "star", type: "button", role: "radio", "aria-checked": "false", "aria-label": fill(t.stars, { n }), onclick: () => {
        score = n;
        send.disabled = false;
        stars.forEach((star, i) => { star.classList.toggle("on", i < n); star.setAttribute("aria-checked", String(i + 1 === n)); });
      } }, icon("star", 28)));
      this.add(el("div", { class: "rate", "data-rate": String(Number(event.seq)) }, el("p", {}, event.text || t.rate), el("div", { class: "stars", role: "radiogroup", "aria-label": t.rate }, ...stars), comment, send));
    }
    paintState() {
      const t = this.t, off = this.state !== "open" && this.welcomed !== undefined && this.line;
      const who = { bot: t.online, pending: t.waiting, closed: t.online, person: fill(t.staffed, { agent: this.agent ? (this.lang_ === "zh" ? ` ${this.agent} ` : this.agent) : this.lang_ === "zh" ? "" : t.person }) }[this.owner];
      this.stateText.textContent = off && !this.line.stopped ? t.connecting : who;
      this.stateDot.className = `dot ${off && !this.line.stopped ? "off" : this.owner === "pending" ? "wait" : ""}`;
      const note = this.state === "replaced" ? t.replaced : this.state === "offline" && (!navigator.onLine || this.line?.tries > 2) ? t.offline : t[this.notice];
      this.noteBox.replaceChildren(...(note ? [note] : []));
      this.noteBox.hidden = !note;
      if (this.state === "replaced") this.noteBox.append(el("button", { type: "button", onclick: () => this.line.restart() }, t.here));
    }
    seen() {
      const here = this.opened && !document.hidden && this.welcomed && this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < 200;
      if (!here || this.read >= this.seq) return;
      this.read = this.seq;
      clearTimeout(this.seenTimer);
      this.seenTimer = setTimeout(() => { this.line.send({ type: "seen", seq: this.read }); this.tabs?.postMessage({ read: this.read }); }, 150);
      this.countUnread();
    }
    countUnread() {
      const count = (this.lines || []).filter((line) => line.kind === "message" && line.author !== "shopper" && line.seq > this.read).length;
      if (count === this.unread) return;
      this.unread = count;
      this.badge.hidden = !count;
      this.badge.textContent = count > 99 ? "99+" : String(count);
      this.launcher?.setAttribute("aria-label", count ? `${this.t.open} (${count} ${this.t.unread})` : this.t.open);
      this.emit("unread", { count });
    }

    // -------------------------------------------------------------- from the shopper
    onKey(event) {
      if (event.key !== "Enter" || event.shiftKey) return;
      if (event.isComposing || event.keyCode === 229) return; // the Enter that picks a Chinese word
      event.preventDefault();
      this.submit();
    }
    onPaste(event) {
      const files = [...(event.clipboardData?.files || [])].filter((file) => file.type.startsWith("image/"));
      if (files.length) { event.preventDefault(); files.forEach((file) => this.sendFile(file)); }
    }
    grow() {
      const text = this.input.value, left = this.maxText - [...text].length;
      this.input.style.height = "38px";
      this.input.style.height = `${Math.min(132, this.input.scrollHeight)}px`;
      this.goButton.disabled = !text.trim() || left < 0;
      this.countBox.hidden = left > 200;
      this.countBox.textContent = left < 0 ? fill(this.t.over, { n: -left }) : fill(this.t.tooLong, { n: left });
      this.countBox.classList.toggle("bad", left < 0);
    }
    submit() {
      const text = this.input.value.trim();
      if (!text || [...text].length > this.maxText) return;
      this.input.value = "";
      this.grow();
      this.sendText(text);
    }
    sendText(text) { this.enqueue({ type: "message", text }); }
    enqueue(frame) {
      this.line.start();
      const item = { ...frame, client_id: randomId(), locale: this.lang_, at: Date.now(), who: this.who };
      this.keep(item);
      this.dropChips();
      this.showPending(item);
      this.transmit(item);
      this.bottom();
    }
    keep(item) { this.store.set(`q:${item.client_id}`, JSON.stringify({ ...item, node: undefined, status: undefined })); }
    drop(item) {
      item.node.remove();
      this.pending.delete(item.client_id);
      this.store.set(`q:${item.client_id}`, null);
    }
    // A guest's words may go on in the conversation of the customer he turns out to be; a customer's never in another's.
    foreign(item) { return item.who && this.who && item.who !== this.who; }
    claim(item) {
      if (item.who) return;
      item.who = this.who;
      if (this.store.get(`q:${item.client_id}`)) this.keep(item);
    }
    restore(key) { // written before the page was left, and perhaps never sent
      try {
        const item = JSON.parse(this.store.get(key));
        if (item && Date.now() - item.at < 86400000 && !this.foreign(item)) this.showPending(item); else this.store.set(key, null);
      } catch {
        this.store.set(key, null);
      }
    }
    showPending(item) {
      this.hi?.remove();
      this.hi = null;
      item.status = el("span", { class: "st" });
      item.node = el("div", { class: "msg me" }, el("span", { class: "sr" }, this.t.you), ...(item.preview ? [this.picture(item.preview)] : item.file ? [this.fileBox(item.file)] : []), item.text ? el("div", { class: "bub" }, item.text) : "", item.status);
      this.pending.set(item.client_id, item);
      this.log.append(item.node);
      if (this.dots) this.log.append(this.dots);
      this.paintPending(item);
    }
    paintPending(item) {
      const t = this.t;
      if (item.failed) {
        const retry = el("button", { class: "st bad", type: "button", onclick: () => { item.failed = false; this.paintPending(item); if (item.file) item.media = null; else this.keep(item); this.transmit(item); } }, fill(t[item.why || "failed"], { mb: Math.floor((this.maxUpload || 10485760) / 1048576) }));
        item.status.replaceWith(retry);
        item.status = retry;
        return;
      }
      const status = el("span", { class: "st" }, item.acked ? t.sent : item.uploading ? t.uploading : t.sending);
      item.status.replaceWith(status);
      item.status = status;
    }
    transmitAll(late) {
      clearTimeout(this.lateTimer);
      let held = false;
      for (const item of this.pending.values()) if (item.who && !this.identity && !late) held = true; else this.transmit(item);
      // A customer who is signed in again at once finds his words in his own conversation, not in a guest's.
      if (held) this.lateTimer = setTimeout(() => this.transmitAll(true), 3000);
    }
    transmit(item) {
      if (!this.pending.has(item.client_id) || item.acked || item.failed || item.uploading) return;
      if (item.file && !item.media) { this.upload(item); return; }
      this.line.send({ type: item.type, client_id: item.client_id, text: item.text || "", token: item.token, media: item.media, locale: item.locale });
    }
    sendFile(file) {
      this.line.start();
      const item = { type: "message", text: "", client_id: randomId(), locale: this.lang_, at: Date.now(), who: this.who, file, preview: /^image\//.test(file.type) ? URL.createObjectURL(file) : null };
      this.showPending(item);
      this.transmit(item);
      this.bottom();
    }
    async upload(item) {
      const fail = (why) => { item.uploading = false; item.failed = true; item.why = why; this.paintPending(item); };
      if (this.maxUpload && item.file.size > this.maxUpload) return fail("tooBig");
      if (!this.line.open) return; // it is not known yet whose file this is; the welcome sends what waits
      item.uploading = true;
      this.paintPending(item);
      try {
        const { status, body } = await this.line.upload(item.file);
        if (status !== 200) return fail({ 413: "tooBig", 415: "badType", 429: "noMoreFiles" }[status] || "uploadFailed");
        item.media = [body.slip];
        item.uploading = false;
        this.paintPending(item);
        this.transmit(item);
      } catch {
        fail("uploadFailed");
      }
    }
  }

  customElements.define("kefu-chat", KefuChat);

  // ------------------------------------------------------------------ for the page around it
  const waiting = [];
  const first = (use) => {
    const chat = document.querySelector("kefu-chat");
    if (chat?.line) return use(chat);
    waiting.push(use);
  };
  document.addEventListener("kefu-ready", (event) => { for (const use of waiting.splice(0)) use(event.target); });
  window.Kefu = {
    open: () => first((chat) => chat.open()),
    close: () => first((chat) => chat.close()),
    send: (text) => first((chat) => chat.sendText(String(text))),
    identify: (identity) => first((chat) => chat.identify(identity)),
    reset: () => first((chat) => chat.reset()),
    setLanguage: (lang) => first((chat) => chat.setLanguage(lang, true)),
    on: (name, listener) => first((chat) => chat.on(name, listener)),
  };

  if (script?.dataset.site) {
    const place = () => {
      const chat = el("kefu-chat", { site: script.dataset.site, lang: script.dataset.lang, title: script.dataset.title, theme: script.dataset.theme, identity: script.dataset.identity });
      document.body.append(chat);
    };
    if (document.body) place(); else addEventListener("DOMContentLoaded", place);
  }
})();
