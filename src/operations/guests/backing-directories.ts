/** For `cli`, which imports from `operations` only. */
export { withBackingDirectories } from '../../image/formats/view/backing-directories.ts';
