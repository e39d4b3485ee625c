/** Options to run TypeScript without building it: in the tests (jest.config.js) and the demo. */
export const swcOptions = {
  jsc: {
    parser: { syntax: 'typescript', explicitResourceManagement: true },
    target: 'es2022',
  },
  module: { type: 'es6' },
  sourceMaps: 'inline',
};
