// Draws /openapi.json as a readable page: routes, parameters, bodies with an outline of their schema, answers.
const make = (tag, text, kind) => {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (kind) element.className = kind;
  return element;
};

const resolve = (api, schema) =>
  schema && schema.$ref ? schema.$ref.split("/").slice(1).reduce((at, name) => at[name], api) : schema || {};

// An outline instead of the schema itself: field names and types, nested, each named type opened once per path.
function outline(api, given, seen = []) {
  const name = given && given.$ref;
  if (name && seen.includes(name)) return name.split("/").pop();
  const schema = resolve(api, given);
  const path = name ? [...seen, name] : seen;
  const choice = schema.anyOf || schema.oneOf;
  if (choice) {
    const kinds = choice.map((one) => outline(api, one, path));
    return kinds.length === 1 ? kinds[0] : kinds.every((k) => typeof k === "string") ? kinds.join(" | ") : kinds;
  }
  if (schema.properties) {
    const need = schema.required || [];
    return Object.fromEntries(
      Object.entries(schema.properties).map(([field, of]) => [need.includes(field) ? field : field + "?", outline(api, of, path)]),
    );
  }
  if (schema.type === "array") return [outline(api, schema.items, path)];
  if (schema.enum) return schema.enum.join(" | ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  return schema.format || schema.type || "any";
}

function body(api, title, content) {
  const part = make("div");
  for (const [type, media] of Object.entries(content || {})) {
    part.append(make("p", `${title}: ${type}`), make("pre", JSON.stringify(outline(api, media.schema), null, 2)));
  }
  return part;
}

function route(api, path, method, operation) {
  const box = make("details");
  const summary = make("summary");
  summary.append(make("span", method.toUpperCase(), "method"), make("code", path), make("span", " " + (operation.summary || "")));
  const about = make("div", undefined, "about");
  if (operation.description) about.append(make("p", operation.description));
  const table = make("table");
  for (const parameter of operation.parameters || []) {
    const row = table.insertRow();
    row.insertCell().append(make("code", parameter.name + (parameter.required ? "" : "?")));
    row.insertCell().append(make("span", `${parameter.in}, ${JSON.stringify(outline(api, parameter.schema))}`));
  }
  about.append(table, body(api, "Body", operation.requestBody && operation.requestBody.content));
  for (const [status, answer] of Object.entries(operation.responses || {})) {
    about.append(body(api, `${status} ${answer.description}`, answer.content));
  }
  box.append(summary, about);
  return box;
}

async function draw() {
  const main = document.getElementById("routes");
  try {
    const answer = await fetch("/openapi.json");
    if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
    const api = await answer.json();
    document.title = document.getElementById("title").textContent = api.info.title;
    const found = Object.entries(api.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => route(api, path, method, operation)),
    );
    main.replaceChildren(...found);
  } catch (error) {
    main.replaceChildren(make("p", `The description could not be read: ${error.message}`));
  }
}

draw();
