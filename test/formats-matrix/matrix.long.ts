/** Our reading against a second decoder and other software: every image. */
import { madeByQemu } from './made-by-qemu.ts';
import { madeByUs } from './made-by-us.ts';
import { matrix } from './matrix.ts';
import { vhdByHand } from './vhd-by-hand.ts';
import { vhdxByHand } from './vhdx-by-hand.ts';

matrix([...vhdxByHand(true), ...vhdByHand(), ...madeByQemu(true), ...madeByUs(true)]);
