import eslint from '@eslint/js';
import tseslint from 'typescript-eslint';
import house from './scripts/lint/rules.mjs';

// A literal is written out: spread into another one only to save lines, it hides what belongs together.
const spreadLiterals = {
  selector:
    ':matches(SpreadElement, SpreadAssignment) > :matches(ObjectExpression, ArrayExpression)',
  message: 'write the properties themselves, without a spread around them',
};

// What a reader of a call cannot know gets a name. Node's own functions are as they are.
const bareBooleans = {
  selector:
    'CallExpression:not([callee.property.name=/^(?:getUint|resolve$)/]):not([callee.name=/^(?:oneOf|sleep)$/]) > Literal[raw=/^(?:true|false)$/]',
  message: 'give this boolean a name: an options object, such as { again: true }',
};

export default tseslint.config(
  { ignores: ['node_modules', 'dist', 'src/wire', 'coverage'] },
  eslint.configs.recommended,
  {
    files: ['**/*.ts'],
    plugins: { house },
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      // A switch over a union is one decision however many cases it has.
      complexity: ['error', { max: 8, variant: 'modified' }],
      'max-lines': ['error', { max: 250, skipBlankLines: true, skipComments: true }],
      'house/lines-per-function': ['error', { max: 40 }],
      'no-duplicate-imports': 'error',
      'no-restricted-syntax': ['error', spreadLiterals],
      'no-console': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: false, requireDefaultForNonUnion: false },
      ],
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', ignoreUsingDeclarations: true },
      ],
    },
  },
  {
    files: ['src/**/*.ts'],
    rules: {
      'max-params': ['error', 4],
      'no-restricted-syntax': ['error', spreadLiterals, bareBooleans],
    },
  },
  {
    // A suite is one function that holds many tests; each of them stays short.
    files: ['test/**/*.ts'],
    rules: { 'house/lines-per-function': 'off', 'max-lines': ['error', 300] },
  },
  {
    files: ['**/*.mjs', '**/*.js'],
    plugins: { house },
    languageOptions: {
      globals: {
        process: 'readonly',
        console: 'readonly',
        URL: 'readonly',
        setTimeout: 'readonly',
        AbortController: 'readonly',
      },
    },
    rules: {
      'no-console': 'off',
      complexity: ['error', { max: 8, variant: 'modified' }],
      'max-lines': ['error', { max: 250, skipBlankLines: true, skipComments: true }],
      'house/lines-per-function': ['error', { max: 40 }],
    },
  },
);
