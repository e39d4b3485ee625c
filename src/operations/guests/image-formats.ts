/* For the command line, which imports only operations. Loads nothing but two lists. */
export { imageFormats, isImageFormat, type ImageFormat } from '../../image/formats/image-format.ts';
export { targetFormats, type TargetFormat } from '../../image/target/target-format.ts';
