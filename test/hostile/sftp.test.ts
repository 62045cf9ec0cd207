import { hammer } from './campaign.ts';
import { sftpCampaign } from './sftp-campaign.ts';

await hammer([sftpCampaign], 100_000, 20_261_123);
