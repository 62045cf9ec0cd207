export { nextData } from './sparse-file.ts';
