// Rules of this project's own for eslint, where none of its own says what we mean.

/** Lines of code between two tokens, without blank lines and lines that hold only a comment. */
function codeLines(source, node) {
  const lines = new Set();
  for (const token of source.getTokens(node)) {
    for (let line = token.loc.start.line; line <= token.loc.end.line; line++) lines.add(line);
  }
  return lines;
}

/** The outermost object and array literals below a node that are written over several lines, functions in them apart. */
function literalsIn(source, node) {
  const found = [];
  const visit = (each) => {
    if (each.type === 'ObjectExpression' || each.type === 'ArrayExpression') {
      found.push(each);
      return;
    }
    for (const key of source.visitorKeys[each.type] ?? []) {
      for (const child of [each[key]].flat()) if (child) visit(child);
    }
  };
  visit(node.body);
  return found;
}

const isFunction = ({ type }) =>
  ['FunctionDeclaration', 'FunctionExpression', 'ArrowFunctionExpression'].includes(type);

/** Lines in a literal that lie in no function: a list of plain properties is one thought, however long. */
function plainLines(source, literal) {
  const lines = codeLines(source, literal);
  const drop = (each) => {
    if (isFunction(each)) {
      for (const line of codeLines(source, each)) lines.delete(line);
      return;
    }
    for (const key of source.visitorKeys[each.type] ?? []) {
      for (const child of [each[key]].flat()) if (child) drop(child);
    }
  };
  drop(literal);
  lines.delete(literal.loc.start.line);
  return lines;
}

/** Holds the length of functions in lines of code; the plain properties of a literal count as one line. */
const linesPerFunction = {
  meta: {
    type: 'suggestion',
    schema: [
      { type: 'object', properties: { max: { type: 'integer' } }, additionalProperties: false },
    ],
    messages: {
      long: 'this function has {{count}} lines, and {{max}} are the most: split it where the thought changes',
    },
  },
  create(context) {
    const source = context.sourceCode;
    const { max } = context.options[0];
    const check = (node) => {
      const lines = codeLines(source, node);
      if (lines.size <= max) return;
      for (const literal of literalsIn(source, node)) {
        for (const line of plainLines(source, literal)) lines.delete(line);
      }
      const count = lines.size;
      if (count > max)
        context.report({ node, loc: node.loc.start, messageId: 'long', data: { count, max } });
    };
    return {
      FunctionDeclaration: check,
      FunctionExpression: check,
      ArrowFunctionExpression: check,
    };
  },
};

export default { rules: { 'lines-per-function': linesPerFunction } };
