/** How TypeScript is made to run without being built: in the tests (jest.config.js) and in the demo. */
export const swcOptions = {
  jsc: {
    parser: { syntax: 'typescript', explicitResourceManagement: true },
    target: 'es2022',
  },
  module: { type: 'es6' },
  sourceMaps: 'inline',
};
