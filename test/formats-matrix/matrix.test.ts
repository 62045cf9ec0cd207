/** Our reading against a second decoder and other software: as many images as a landing has time for. */
import { madeByQemu } from './made-by-qemu.ts';
import { madeByUs } from './made-by-us.ts';
import { matrix } from './matrix.ts';
import { vhdByHand } from './vhd-by-hand.ts';
import { vhdxByHand } from './vhdx-by-hand.ts';

matrix([...vhdxByHand(false), ...vhdByHand(), ...madeByQemu(false), ...madeByUs(false)]);
