/** The states of `crash.test.ts`, many more of them and others each time. The last result is kept in docs/operating/proof.md. */
import { cutEverywhere } from './crash-session.fixture.ts';

cutEverywhere(200_000, Math.floor(Math.random() * 2 ** 31));
