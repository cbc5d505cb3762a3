// Every page of the report in Chromium: wide, phone and print, light and dark, keyboard alone; axe finds nothing, and nothing comes from elsewhere.
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const facts = JSON.parse(readFileSync(process.argv[2], "utf8"));
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const PAGES = {
  portfolio: "/", filtered: "/?team=payments", nothing: "/?q=no-such-model", delivery: "/delivery", compliance: "/compliance", resources: "/resources", activity: "/activity",
  "model-breached": "/models/payments/wire-fraud", "model-gap": "/models/payments/card-fraud", "model-degraded": "/models/payments/merchant-risk",
  "model-paused": "/models/lending/early-arrears?span=30d", "model-retired": "/models/logistics/parcel-volume", "model-hostile": "/models/energy/battery-dispatch",
  "model-new": "/models/platform/spam-filter", missing: "/models/no/such",
};
const LOOKS = {
  wide: { viewport: { width: 1280, height: 900 } },
  dark: { viewport: { width: 1280, height: 900 }, colorScheme: "dark" },
  phone: { viewport: { width: 375, height: 740 }, isMobile: true, hasTouch: true },
  narrow: { viewport: { width: 320, height: 640 }, isMobile: true, colorScheme: "dark" },
};
const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const failures = [];
const check = (ok, what) => ok || failures.push(what);

const browser = await chromium.launch({ executablePath: facts.chromium, args: process.getuid() === 0 ? ["--no-sandbox"] : [] });

async function open(look, more = {}) {
  const context = await browser.newContext({ ...LOOKS[look], extraHTTPHeaders: { Authorization: `Bearer ${facts.token}` }, ...more });
  const page = await context.newPage();
  page.on("console", (m) => m.type() === "error" && !/404/.test(m.text()) && failures.push(`${look} ${page.url()}: console: ${m.text()}`));
  page.on("pageerror", (e) => failures.push(`${look} ${page.url()}: ${e}`));
  page.on("request", (r) => check(/^(data:|file:)/.test(r.url()) || r.url().startsWith(facts.site), `${look} ${page.url()} asks ${r.url()}`));
  return page;
}

async function accessible(page, what) {
  const found = await page.evaluate(`${axe}; axe.run(document, { runOnly: ${JSON.stringify(TAGS)} })`);
  for (const v of found.violations)
    failures.push(`${what}: axe ${v.id} (${v.impact}): ${v.help}: ${v.nodes.slice(0, 3).map((n) => `${n.html.slice(0, 160)} | ${n.any[0]?.message ?? n.failureSummary}`).join(" / ")}`);
}

async function fits(page, what) {
  const [inner, whole] = await page.evaluate(() => [window.innerWidth, document.documentElement.scrollWidth]);
  check(whole <= inner, `${what}: is ${whole} wide on a screen of ${inner}`);
}

// To look at; long tables are alike all the way down.
async function picture(page, name) {
  const [width, height] = await page.evaluate(() => [innerWidth, document.documentElement.scrollHeight]);
  await page.screenshot({ path: `${facts.out}/${name}.png`, fullPage: true, clip: { x: 0, y: 0, width, height: Math.min(height, 4000) } });
}

// ---- every page, in each look

async function looks(look) {
  // axe is put in by force; that pages need no such thing is seen by the requests and errors of all of them.
  const page = await open(look, { bypassCSP: true });
  for (const [name, path] of Object.entries(PAGES)) {
    const answer = await page.goto(facts.site + path);
    check(answer.status() === (name === "missing" ? 404 : 200), `${name}: HTTP ${answer.status()}`);
    if (look !== "narrow") await accessible(page, `${name} ${look}`);  // its colours are those of dark, its order is that of phone
    await fits(page, `${name} ${look}`);
    await picture(page, `${name}-${look}`);
  }
  await page.context().close();
}

async function unforced() {
  const page = await open("wide");
  for (const path of Object.values(PAGES)) {
    await page.goto(facts.site + path);
    check((await page.locator("script, iframe, object, embed, img").count()) === 0, `${path}: has what it should not`);
  }
  await page.context().close();
}

// What does not fit on A4 within its margins is cut off: 210 mm less twice 14 mm, at 96 pixels an inch.
const PAPER = { width: Math.floor((210 - 2 * 14) / 25.4 * 96), height: 1000 };

async function fitsPaper(page, what) {
  await page.setViewportSize(PAPER);
  await fits(page, `${what} print`);
  const wide = await page.evaluate((width) => [...document.querySelectorAll("table, svg, dl, ul, pre")].filter((e) => e.getBoundingClientRect().right > width + 0.5)
    .map((e) => `${e.tagName.toLowerCase()} ${e.closest("[aria-label]")?.getAttribute("aria-label") ?? e.className} to ${Math.round(e.getBoundingClientRect().right)}`), PAPER.width);
  check(wide.length === 0, `${what} print: wider than the paper of ${PAPER.width}: ${wide.slice(0, 5).join("; ")}`);
}

async function prints() {
  const page = await open("wide");
  await page.emulateMedia({ media: "print", colorScheme: "dark" });
  for (const name of Object.keys(PAGES)) {
    await page.goto(facts.site + PAGES[name]);
    await fitsPaper(page, name);
  }
  for (const name of ["portfolio", "resources", "delivery", "compliance", "model-breached"]) {
    await page.goto(facts.site + PAGES[name]);
    await page.setViewportSize(PAPER);
    check(!(await page.locator(".top nav").isVisible()), `${name} print: the navigation is printed`);
    const ground = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    check(ground === "rgb(255, 255, 255)", `${name} print: the ground is ${ground}`);
    const badge = await page.evaluate(() => { const e = document.querySelector(".badge.good, .badge.bad, svg .bar"); return e ? getComputedStyle(e).getPropertyValue("--good-bg") : "" ; });
    check(["", "#e2f4ec"].includes(badge.trim()), `${name} print: the colours are those of dark`);
    await picture(page, `${name}-print`);
    const pdf = await page.pdf({ format: "A4", path: `${facts.out}/${name}.pdf` });
    check(pdf.length > 5000, `${name} print: the PDF has ${pdf.length} bytes`);
  }
  await page.context().close();
}

// ---- keyboard alone

const focused = (page) => page.evaluate(() => {
  const e = document.activeElement, style = getComputedStyle(e), box = e.getBoundingClientRect();
  return { tag: e.tagName, text: (e.textContent || e.name || "").trim().slice(0, 40), href: e.getAttribute("href"), outline: style.outlineStyle, width: parseFloat(style.outlineWidth),
           seen: box.width > 0 && box.height > 0 && box.bottom > 0 && box.top < innerHeight && box.right > 0 };
});

async function keyboard() {
  const page = await open("wide", { reducedMotion: "reduce" });  // so that what has focus is there at once
  for (const name of ["portfolio", "model-breached", "delivery"]) {
    await page.goto(facts.site + PAGES[name]);
    await page.keyboard.press("Tab");
    const skip = await focused(page);
    check(skip.href === "#main" && skip.seen, `${name}: Tab first goes to ${JSON.stringify(skip)}`);
    const all = await page.locator("a[href], button, input, select, summary, [tabindex='0']").filter({ visible: true }).count();
    let reached = 1;
    for (; reached < all; ++reached) {
      await page.keyboard.press("Tab");
      const at = await focused(page);
      if (at.tag === "BODY") break;
      check(at.outline !== "none" && at.width >= 2, `${name}: focus is not seen on ${at.tag} ${at.text}`);
      check(at.seen, `${name}: focus is off the screen on ${at.tag} ${at.text}`);
    }
    check(reached >= all - 1, `${name}: Tab reached ${reached} of ${all}`);
  }
  // Search, and go to what was found.
  await page.goto(facts.site);
  await page.locator("input[name=q]").focus();
  await page.keyboard.type("wire");
  await page.keyboard.press("Enter");
  await page.waitForURL(/q=wire/);
  check((await page.locator("td[data-label=Model] a").allTextContents()).join() === "wire-fraud", "search by keyboard does not find wire-fraud");
  await page.locator("td[data-label=Model] a").focus();
  await page.keyboard.press("Enter");
  await page.waitForURL(/wire-fraud/);
  check(/wire-fraud/.test(await page.locator("h1").textContent()), "Enter on a link leads nowhere");
  await page.locator("nav.files a").first().focus();
  await page.keyboard.press("Enter");
  await page.waitForURL(/span=1d/);
  await page.context().close();
}

// ---- what the pages say

async function says() {
  const page = await open("wide");
  const text = async (name) => (await page.goto(facts.site + PAGES[name]), await page.locator("main").innerText());
  const has = async (name, ...wanted) => {
    const said = await text(name);
    for (const what of wanted) check(what.test(said), `${name} does not say ${what}`);
  };
  await has("portfolio", /50\s*Models/, /payments\/wire-fraud/);
  await has("model-breached", /Figures over time/, /Outside its target in \d+ of 16\d steps/, /EUR/);
  await has("model-gap", /No data in \d+ of 168 steps/);
  await has("model-hostile", /<script>alert\(1\)<\/script>/);
  await has("resources", /EUR\s+a month/, /\d %\s+of the cores asked for were used/, /unknown/);
  await has("model-new", /No figure is known of this time/);
  check((await page.locator("path.trace").count()) === 0, "a Model without figures has a line");
  await page.goto(facts.site + PAGES["model-breached"]);
  check((await page.locator("path.trace").count()) >= 2, "figures over time are not drawn");
  await page.context().close();
}

async function file() {
  const page = await open("wide", { bypassCSP: true, extraHTTPHeaders: {}, reducedMotion: "reduce" });
  await page.goto(facts.file);
  check((await page.locator("section.model").count()) === 54, `the file has ${await page.locator("section.model").count()} sections`);
  await fits(page, "the file");
  await page.locator("a[href='#model-payments-wire-fraud']").first().click();
  check(page.url().endsWith("#model-payments-wire-fraud"), "links within the file lead nowhere");
  await page.screenshot({ path: `${facts.out}/file.png` });
  await page.setViewportSize({ width: 320, height: 640 });
  await fits(page, "the file on a phone");
  await page.emulateMedia({ media: "print" });
  await fitsPaper(page, "the file");
  await page.context().close();
}

// ---- what the documents show

const SHOWN = { "report-portfolio": ["wide", "portfolio"], "report-model": ["wide", "model-breached"], "report-dark": ["dark", "delivery"], "report-phone": ["phone", "portfolio"],
                "report-paper": ["paper", "model-degraded"] };
const SIZES = { paper: { viewport: { width: PAPER.width, height: Math.floor((297 - 2 * 14) / 25.4 * 96) } }, phone: { deviceScaleFactor: 2 } };
const MOST_BYTES = 150_000;

async function images() {
  for (const [name, [look, path]] of Object.entries(SHOWN)) {
    const page = await open(look === "paper" ? "wide" : look, SIZES[look] ?? { viewport: { width: 1280, height: 960 } });
    if (look === "paper") await page.emulateMedia({ media: "print" });
    await page.goto(facts.site + PAGES[path]);
    const devtools = await page.context().newCDPSession(page);
    const { data } = await devtools.send("Page.captureScreenshot", { format: "webp", quality: 80 });
    const bytes = Buffer.from(data, "base64");
    check(bytes.length <= MOST_BYTES, `${name}.webp has ${bytes.length} bytes, more than ${MOST_BYTES}`);
    writeFileSync(`${facts.images}/${name}.webp`, bytes);
    await page.context().close();
  }
}

const began = Date.now();
const timed = async (...works) => {
  for (const work of works) {
    await work();
    if (process.env.BROWSER_TIMES) console.log(`${work.name || work} done after ${((Date.now() - began) / 1000).toFixed(1)} s`);
  }
};
const look = (name) => Object.defineProperty(() => looks(name), "name", { value: name });
await Promise.all([timed(look("wide"), look("phone")), timed(look("dark"), look("narrow")), timed(unforced, prints, keyboard, says, file)]);
if (facts.images) await images();
await browser.close();
for (const failure of [...new Set(failures)]) console.log(`FAILED ${failure}`);
console.log(failures.length ? `${failures.length} failures` : `${Object.keys(PAGES).length} pages in ${Object.keys(LOOKS).length} looks, print, keyboard and the file: all well`);
process.exit(failures.length ? 1 : 0);
