"use strict";

const KEPT = "trueup-token";
const said = document.getElementById("said");
const routes = document.getElementById("routes");
let description = {};

function element(name, text, ...children) {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  made.append(...children);
  return made;
}

function headers(more) {
  return { Authorization: "Bearer " + sessionStorage.getItem(KEPT), ...more };
}

function resolved(schema) {
  if (!schema || !schema.$ref) return schema || {};
  return description.components.schemas[schema.$ref.split("/").pop()] || {};
}

function kind(schema) {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.anyOf) return schema.anyOf.map(kind).join(" or ");
  if (schema.type === "array") return "list of " + kind(schema.items);
  if (schema.enum) return schema.enum.join(" | ");
  return schema.const || schema.type || "any";
}

function table(rows) {
  const body = element("tbody");
  for (const cells of rows) body.append(element("tr", "", ...cells.map((cell) => element("td", cell))));
  return element("table", "", body);
}

function fields(schema) {
  const found = resolved(schema);
  const needed = found.required || [];
  return Object.entries(found.properties || {}).map(([name, part]) =>
    [name + (needed.includes(name) ? " *" : ""), kind(part), part.description || ""]);
}

function example(schema) {
  const found = resolved(schema);
  const made = {};
  for (const name of found.required || []) made[name] = "";
  return JSON.stringify(made, null, 2);
}

async function send(method, path, inputs, area, output) {
  let place = path;
  const query = new URLSearchParams();
  const more = {};
  for (const { parameter, input } of inputs) {
    if (input.value === "") continue;
    if (parameter.in === "path") place = place.replace("{" + parameter.name + "}", encodeURIComponent(input.value));
    else if (parameter.in === "header") more[parameter.name] = input.value;
    else query.append(parameter.name, input.value);
  }
  if (area) more["Content-Type"] = "application/json";
  const url = query.size ? place + "?" + query : place;
  const answer = await fetch(url, { method, headers: headers(more), body: area ? area.value : undefined });
  let text = await answer.text();
  try { text = JSON.stringify(JSON.parse(text), null, 2); } catch { /* not JSON: shown as it is */ }
  output.hidden = false;
  output.textContent = answer.status + " " + answer.statusText + "\n\n" + text;
}

function trial(method, path, operation) {
  const form = element("form");
  const output = element("pre");
  output.hidden = true;
  const inputs = (operation.parameters || []).map((parameter) => {
    const input = element("input");
    input.setAttribute("aria-label", parameter.name);
    input.placeholder = parameter.name;
    input.required = Boolean(parameter.required);
    form.append(input);
    return { parameter, input };
  });
  let area = null;
  if (operation.requestBody) {
    area = element("textarea");
    area.rows = 6;
    area.setAttribute("aria-label", "body");
    area.value = example(operation.requestBody.content["application/json"].schema);
    form.append(area);
  }
  form.append(element("button", "Send"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(method.toUpperCase(), path, inputs, area, output).catch((error) => { said.textContent = String(error); });
  });
  return [form, output];
}

function shown(method, path, operation) {
  const head = element("summary", "", element("span", method.toUpperCase()), element("code", " " + path));
  head.firstChild.className = "method";
  const needs = element("span", operation["x-permission"] === "none" ? "open" : operation["x-permission"]);
  needs.className = "needs";
  head.append(needs);
  const parts = [head, element("p", operation.description || operation.summary)];
  const parameters = (operation.parameters || []).map((one) =>
    [one.name + (one.required ? " *" : ""), kind(one.schema), one.description || one.schema.description || ""]);
  if (parameters.length) parts.push(element("h3", "Parameters"), table(parameters));
  if (operation.requestBody) {
    parts.push(element("h3", "Body"), table(fields(operation.requestBody.content["application/json"].schema)));
  }
  const answers = Object.entries(operation.responses).map(([status, one]) => {
    const content = Object.values(one.content || {})[0];
    return [status, one.description, content ? kind(content.schema) : ""];
  });
  parts.push(element("h3", "Answers"), table(answers), ...trial(method, path, operation));
  return element("details", "", ...parts);
}

async function show() {
  if (!sessionStorage.getItem(KEPT)) {
    said.textContent = "Give a token: `trueup serve` prints a link with one, `trueup token create` makes one.";
    return;
  }
  const answer = await fetch("/openapi.json", { headers: headers() });
  if (!answer.ok) {
    const problem = await answer.json().catch(() => ({}));
    said.textContent = problem.detail || String(answer.status);
    return;
  }
  description = await answer.json();
  said.textContent = description.info.description;
  routes.replaceChildren();
  const groups = new Map();
  for (const [path, methods] of Object.entries(description.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      const tag = (operation.tags || ["other"])[0];
      if (!groups.has(tag)) groups.set(tag, []);
      groups.get(tag).push(shown(method, path, operation));
    }
  }
  for (const [tag, parts] of groups) routes.append(element("section", "", element("h2", tag), ...parts));
}

document.getElementById("door").addEventListener("submit", (event) => {
  event.preventDefault();
  const input = document.getElementById("token");
  if (input.value.trim()) sessionStorage.setItem(KEPT, input.value.trim());
  input.value = "";
  show();
});

const given = new URLSearchParams(location.hash.slice(1)).get("token");
if (given) {
  sessionStorage.setItem(KEPT, given);
  history.replaceState(null, "", location.pathname);
}
show();
