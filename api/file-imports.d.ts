/** Files that are imported as what they are: their text, or a path that they can be served from. */
declare module '*.sql' {
  const text: string;
  export default text;
}

declare module 'swagger-ui-dist/swagger-ui-bundle.js' {
  const path: string;
  export default path;
}

declare module 'swagger-ui-dist/swagger-ui.css' {
  const path: string;
  export default path;
}
