// Rules of this project for eslint, where none of its own says what we mean.

const functions = ['FunctionDeclaration', 'FunctionExpression', 'ArrowFunctionExpression'];
const literals = ['ObjectExpression', 'ArrayExpression'];

/** The nodes right below a node of the syntax tree. */
function childrenOf(source, node) {
  const keys = source.visitorKeys[node.type] ?? [];
  return keys.flatMap((key) => node[key] ?? []).filter((child) => child !== null);
}

/** The outermost nodes of these types below a node. */
function outermost(source, node, types) {
  return childrenOf(source, node).flatMap((child) =>
    types.includes(child.type) ? [child] : outermost(source, child, types),
  );
}

/** The tokens of a literal that lie in none of the functions in it, nor on the line that it begins on. */
function* plainTokens(source, literal) {
  const inner = outermost(source, literal, functions);
  const inFunction = (token) =>
    inner.some(({ range: [start, end] }) => start <= token.range[0] && token.range[1] <= end);
  for (const token of source.getTokens(literal))
    if (token.loc.end.line > literal.loc.start.line && !inFunction(token)) yield token;
  yield* closersAfter(source, literal);
  for (const each of inner) yield* plainTokensBelow(source, each);
}

/** Brackets and the like that follow on the line that a literal ends on: `});` is no line of its own. */
function* closersAfter(source, literal) {
  const { start, end } = literal.loc;
  let next = source.getTokenAfter(literal);
  while (
    start.line < end.line &&
    next?.loc.end.line === end.line &&
    /^[)\]};,]$/.test(next.value)
  ) {
    yield next;
    next = source.getTokenAfter(next);
  }
}

function* plainTokensBelow(source, node) {
  for (const literal of outermost(source, node, literals)) yield* plainTokens(source, literal);
}

/** Lines of a function that hold code. What is plain in a literal counts as one line, however long it is. */
function countLines(source, node) {
  const plain = new Set([...plainTokensBelow(source, node)].map(({ range }) => range[0]));
  const lines = new Set();
  for (const { loc, range } of source.getTokens(node)) {
    if (plain.has(range[0])) continue;
    for (let line = loc.start.line; line <= loc.end.line; line++) lines.add(line);
  }
  return lines.size;
}

/** Limits the lines of code of a function, where the plain properties of a literal count as one line. */
const linesPerFunction = {
  meta: {
    type: 'suggestion',
    schema: {
      type: 'array',
      minItems: 1,
      maxItems: 1,
      items: {
        type: 'object',
        properties: { max: { type: 'integer', minimum: 1 } },
        required: ['max'],
        additionalProperties: false,
      },
    },
    messages: {
      long: 'this function has {{count}} lines, and {{max}} are the most: split it where the thought changes',
    },
  },
  create(context) {
    const [{ max }] = context.options;
    const check = (node) => {
      if (node.loc.end.line - node.loc.start.line < max) return;
      const count = countLines(context.sourceCode, node);
      if (count > max)
        context.report({ node, loc: node.loc.start, messageId: 'long', data: { count, max } });
    };
    return Object.fromEntries(functions.map((type) => [type, check]));
  },
};

export default { rules: { 'lines-per-function': linesPerFunction } };
