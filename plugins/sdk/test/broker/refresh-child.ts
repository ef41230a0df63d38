// one `prod` among many: opens the login, makes a call, says which token it ended with
import {api} from '../../src/api.ts'
import {openSession} from '../../src/cli/credentials.ts'
import {createClient} from '../../src/client.ts'

const broker = {name: 'test', url: process.argv[2] as string}
const session = await openSession(broker)
await createClient({broker, session}).call(api.whoami)
process.stdout.write(await session.token())
