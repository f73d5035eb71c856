// Makes the pages of the shop livelier. Each page also works without it.
"use strict";

// A page that is visible asks for its products so often. After an error it asks less often, for a while.
const ASK_INTERVAL_MS = 2000;
const MAX_ASK_INTERVAL_MS = 30000;
// The grid asks for so many of its cards in view at a time, in turn, so that a visitor costs little.
const CARDS_AT_A_TIME = 4;
// The same as in wsgi_apps/pages/shop/words.py.
const LAST_PIECES = 5;
// The most pieces of one order, as in domain/values.py.
const MAX_QUANTITY = 1000000;

function withThousands(digits) {
  return String(digits).replace(/\B(?=(\d{3})+$)/g, ",");
}

// The same as in wsgi_apps/pages/money.py.
function moneyText(price, currency) {
  const cents = Math.round(price * 100);
  const text = `${withThousands(Math.floor(cents / 100))}.${String(cents % 100).padStart(2, "0")}`;
  return currency ? `${text}\u00a0${currency}` : text;
}

function stockText(quantity) {
  if (quantity > LAST_PIECES) return `${withThousands(quantity)} in stock`;
  return quantity ? `last ${quantity}` : "sold out";
}

function stockLevel(quantity) {
  if (quantity > LAST_PIECES) return "plenty";
  return quantity ? "few" : "none";
}

// Shows price and stock in an element with data-live. The stock is told to screen readers only when it begins to
// matter, or when the price changes: a number that changes every two seconds would keep nobody's attention.
function show(element, product) {
  const stock = element.querySelector(".stock");
  const price = element.querySelector(".price");
  const news = [];
  const level = stockLevel(product.quantity);
  if (!stock.classList.contains(level)) news.push(stockText(product.quantity));
  stock.textContent = stockText(product.quantity);
  stock.className = `stock ${level}`;
  const currency = element.closest("[data-currency]")?.dataset.currency;
  const text = "price" in product ? moneyText(product.price, currency) : price.textContent;
  if (price.textContent !== text) {
    price.textContent = text;
    news.push(`the price is now ${text}`);
  }
  const status = element.querySelector("[role=status]");
  if (status && news.length) status.textContent = news.join(", ");
  const form = element.querySelector("form");
  if (!form && element.matches(".product") && product.quantity) location.reload(); // some pieces came back
  if (form) {
    form.hidden = !product.quantity;
    form.elements.quantity.max = Math.max(1, Math.min(product.quantity, MAX_QUANTITY));
  }
}

// Asks for one product. The ETag that the element has saves the answer while nothing has changed.
async function ask(element) {
  const headers = element.dataset.etag ? { "If-None-Match": element.dataset.etag } : {};
  const reply = await fetch(`/products/${element.dataset.live}`, { headers, cache: "no-store" });
  if (reply.status === 304) return;
  if (reply.status === 404) {
    show(element, { quantity: 0 }); // it is no longer sold
    return;
  }
  if (!reply.ok) throw new Error(`status ${reply.status}`);
  show(element, (await reply.json()).data);
  element.dataset.etag = reply.headers.get("ETag") ?? "";
}

// Keeps the elements with data-live up to date while the page is visible.
function keepLive() {
  const all = [...document.querySelectorAll("[data-live]")];
  if (!all.length) return;
  const inView = new Set();
  const observer = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) isIntersecting ? inView.add(target) : inView.delete(target);
  });
  for (const element of all) observer.observe(element);
  let interval = ASK_INTERVAL_MS;
  let timer = 0;
  let turn = 0;

  async function askSome() {
    timer = 0;
    const seen = all.filter((element) => inView.has(element) || all.length === 1);
    const some = seen.map((_, at) => seen[(turn + at) % seen.length]).slice(0, CARDS_AT_A_TIME);
    turn += CARDS_AT_A_TIME;
    try {
      await Promise.all(some.map(ask));
      interval = ASK_INTERVAL_MS;
    } catch {
      interval = Math.min(2 * interval, MAX_ASK_INTERVAL_MS); // the page keeps what it shows
    }
    plan(interval);
  }

  function plan(delay) {
    if (!timer && !document.hidden) timer = setTimeout(askSome, delay);
  }

  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    timer = 0;
    plan(0);
  });
  plan(interval);
}

// Sends the form of a page again, with its key, until the shop knows what came of it. Then the page shows that.
function askAgain() {
  const form = document.querySelector("form[data-retry]");
  if (!form) return;
  const pause = Math.max(1, Number(form.dataset.retry)) * 1000;
  const body = new URLSearchParams(new FormData(form));

  async function send() {
    let reply = null;
    try {
      reply = await fetch(form.action, { method: "POST", body, headers: { Accept: "text/html" } });
    } catch {
      // No answer: the shop may be just starting.
    }
    if (reply?.redirected) {
      location.replace(reply.url);
    } else if (reply && reply.status !== 429 && reply.status < 500) {
      form.submit(); // shows the refusal
    } else {
      const asked = Number(reply?.headers.get("Retry-After") ?? 0) * 1000;
      setTimeout(send, Math.max(pause, asked));
    }
  }

  setTimeout(send, pause);
}

function offerPrint() {
  for (const button of document.querySelectorAll("[data-print]")) {
    button.hidden = false;
    button.addEventListener("click", () => print());
  }
}

keepLive();
askAgain();
offerPrint();
