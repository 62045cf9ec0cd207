/**
 * `npm test` draws the same cases every time, so that what passed once passes again; chance finds are for `npm run test:long`,
 * and for `HVLIFT_SEED`, whose number draws others.
 */
import fc from 'fast-check';

const given = process.env['HVLIFT_SEED']?.split(':')[0];
fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: given ? Number(given) : 20261123 });
