import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { defaultNames } from "./DefaultNames.ts"
import { foldedName } from "./FoldedName.ts"
import type { NamedProcess } from "./ProcessNames.ts"

const names = defaultNames({ pid: 4_242, name: "nodepulse-agent" })

const nameOf = (comm: string, cmdline: string | ReadonlyArray<string>, more: Partial<NamedProcess> = {}) =>
  names.nameOf({
    pid: 1,
    comm,
    exe: undefined,
    cmdline: typeof cmdline === "string" ? (cmdline === "" ? [] : cmdline.split(" ")) : cmdline,
    uid: 0,
    startedAt: 0,
    cgroups: [],
    unit: "",
    ...more
  })

/** `comm | command line -> name`, and where they are readable `exe=…` and `unit=…` at the end. */
const table = (rows: string) => {
  for (const row of rows.trim().split("\n")) {
    const [left, expected] = row.split(" -> ")
    const [comm, line, ...more] = left!.split("|").map((part) => part.trim())
    const fields = Object.fromEntries(more.map((part) => part.split("=") as [string, string]))
    assert.strictEqual(nameOf(comm!, line!, fields), expected!.trim(), row)
  }
}

describe("a process is named by what it runs, where nobody says otherwise", () => {
  it("a program by its command name, as far as the kernel keeps it", () => {
    table(`
      postgres        | postgres: shop app [local] idle         -> postgres
      php-fpm8.2      | php-fpm: pool www                       -> php-fpm8.2
      prometheus-proc | /usr/bin/prometheus-process-exporter -x -> prometheus-proc
      (sd-pam)        | (sd-pam)            |exe=/usr/lib/systemd/systemd -> (sd-pam)
      gcc-12          | gcc-12 -c x.c       |exe=/usr/bin/gcc-12          -> gcc-12
      memfd:sealed-91 | worker |exe=/memfd:sealed-91 (deleted)  -> memfd:sealed-#
      Isolated Web Co | /usr/lib/firefox/firefox -contentproc   -> Isolated Web Co
    `)
  })

  it("Node.js, Deno and Bun with their script", () => {
    table(`
      node       | node server.js                                             -> node server.js
      MainThread | /usr/bin/node --max-old-space-size=4096 -r ./tracing.js /srv/shop/dist/main.mjs --port 1 -> node main.mjs
      node-MainThread | node --require dotenv/config --import tsx app.ts      -> node app.ts
      MainThread | nodejs --inspect=0.0.0.0:9229 index.js                     -> node index.js
      MainThread | node --env-file .env --title shop -C production api.js     -> node api.js
      MainThread | node inspect debugged.js                                   -> node debugged.js
      MainThread | node --run start                                           -> node start
      node       | node -e console.log(process.env.TOKEN)                     -> node
      node       | node --eval=1 x.js                                         -> node
      node       | node -pe 1                                                 -> node
      node       | node                                                       -> node
      node       | node - secret                                              -> node
      node       | node --enable-source-maps --trace-warnings bin/www         -> node www
      node       | node --inspect --no-warnings server                        -> node server
      node       | node --test-random-seed 7 bin/www                          -> node www
      node       | node --newer-than-this app.mjs                             -> node app.mjs
      node       | node --newer-than-this value app.mjs                       -> node
      node       | node --newer-than-this --no-warnings server                -> node server
      node       | node --newer-than-this=value server                        -> node server
      deno       | deno run --allow-net -c deno.json https://example.org/mod/serve.ts?token=x -> deno serve.ts
      bun        | bun --cwd /srv run index.tsx                               -> bun index.tsx
    `)
  })

  it("Python with its script or module", () => {
    table(`
      python3    | python3 worker.py --password hunter2      -> python3 worker.py
      python3.11 | /usr/bin/python3.11 -u -W ignore -X dev /srv/worker.py -> python3 worker.py
      python3    | python3 -m http.server 8000               -> python3 http.server
      python     | python -um celery.bin worker              -> python celery.bin
      python3    | python3 -mvenv x                          -> python3 venv
      python3    | python3 -c print(1) x.py                  -> python3
      python3    | python3 -Bc code                          -> python3
      python3    | python3 /srv/shop/__main__.py             -> python3 shop
      python3    | python3 /usr/bin/uvicorn app:main         -> python3 uvicorn
      uvicorn    | /usr/bin/python3 /usr/bin/uvicorn app:main -> uvicorn
      gunicorn   | gunicorn: worker [shop] |exe=/usr/bin/python3.11 -> gunicorn
      python3    | celeryd: worker@shop |exe=/usr/bin/python3.11 -> python3 celeryd
      unattended-upgr | /usr/bin/python3 /usr/share/unattended-upgrades/unattended-upgrade-shutdown --wait -> unattended-upgr
      pypy3      | pypy3 x.py                                -> pypy3 x.py
    `)
  })

  it("Java with its jar or the last part of its class", () => {
    table(`
      java | java -Xmx1g -Dspring.datasource.password=hunter2 -jar /opt/shop/app.jar --secret=x -> java app.jar
      java | java -cp /a.jar:/b.jar com.acme.Main serve            -> java Main
      java | java -classpath x --add-opens java.base/java.lang=ALL-UNNAMED -javaagent:a.jar com.acme.MainKt -> java MainKt
      java | java -p mods -m shop.server/com.acme.Server           -> java Server
      java | java -m shop.server                                   -> java server
      java | java @args.txt com.acme.Main                          -> java Main
      java | java Hello.java                                       -> java Hello.java
      java | java -version                                         -> java
    `)
  })

  it("Perl, Ruby, PHP and others with their script", () => {
    table(`
      perl   | perl -w -T /usr/sbin/spamd -d           -> perl spamd
      perl   | perl -I lib -MStrict script.pl          -> perl script.pl
      perl   | perl -lne print x.txt                   -> perl
      perl   | perl -0777 -pe s/a/b/ x.txt             -> perl
      perl   | perl -l012 -n run.pl                    -> perl run.pl
      ruby   | ruby3.1 -I lib -r json bin/rails server -> ruby rails
      ruby   | ruby -e puts(1)                         -> ruby
      ruby   | puma: cluster worker 0: 12 [shop] |exe=/usr/bin/ruby3.1 -> ruby puma
      php    | php -d memory_limit=1G artisan queue:work -> php artisan
      php8.2 | php8.2 -c /etc/php.ini -f /srv/cron.php -> php cron.php
      php    | php -S localhost:8000 -t public         -> php
      php    | php -r echo(1); x.php                   -> php
      dotnet | dotnet exec --depsfile a.json Shop.dll  -> dotnet Shop.dll
      R      | /usr/lib/R/bin/exec/R --no-echo --no-restore --file=model.R -> R model.R
      lua5.4 | lua5.4 -l cjson game.lua                -> lua game.lua
    `)
  })

  it("a shell with its script, and alone where it runs a line", () => {
    table(`
      bash   | bash script.sh --token abc        -> bash script.sh
      bash   | bash -euo pipefail /srv/run.sh    -> bash run.sh
      bash   | bash -O extglob +o posix run.sh   -> bash run.sh
      bash   | bash --rcfile /etc/rc run.sh      -> bash run.sh
      sh     | sh -c sleep_1                     -> sh
      sh     | /bin/sh -ec x |exe=/usr/bin/dash  -> sh
      sh     | sh /srv/run.sh |exe=/usr/bin/dash -> sh run.sh
      bash   | -bash                             -> bash
      bash   | bash -s deploy                    -> bash
      bash   | bash /dev/fd/63                   -> bash
      sh     | sh run.sh |exe=/bin/busybox       -> sh run.sh
      deploy.sh | /bin/bash /srv/deploy.sh x     -> deploy.sh
    `)
  })

  it("a thread's name is its executable's, and a name of its own stays", () => {
    table(`
      MainThread  | /opt/game/server            -> server
      GameThread  | ./server |exe=/opt/game/bin/server (deleted) -> server
      main        | /opt/tool                   -> tool
      pthread-test | pthread-test               -> pthread-test
      npm run start | npm run start |exe=/usr/bin/node -> npm run start
      worker-17   | manager --all               -> worker-#
    `)
  })

  it("code without a name by its service or container, but neither by a session nor a slice", () => {
    table(`
      MainThread | node -e 1 |unit=shop.service      -> node shop.service
      python3    | python3 - |unit=web-1             -> python3 web-1
      python3    | python3 x.py |unit=shop.service   -> python3 x.py
      node       | node -e 1 |unit=user alice        -> node
      node       | node -e 1 |unit=system.slice      -> node
      sh         | sh -c x |unit=shop.service        -> sh
    `)
  })

  it("itself by its pid, other processes of NodePulse by their script, a kernel thread not at all", () => {
    assert.strictEqual(nameOf("MainThread", "node x.js", { pid: 4_242 }), "nodepulse-agent")
    table(`
      MainThread | node /usr/bin/nodepulse server                      -> nodepulse
      MainThread | node --enable-source-maps /usr/lib/nodepulse-agent/nodepulse-agent.mjs agent -> nodepulse-agent
    `)
    assert.isUndefined(nameOf("kworker/0:1", ""))
  })
})

describe("names stay few", () => {
  it("what churns is folded, and versions stay", () => {
    const folded = (name: string) => foldedName(name, false)
    assert.strictEqual(folded("job-6ba7b810-9dad-11d1-80b4-00c04fd430c8"), "job-#")
    assert.strictEqual(folded("build-5f3a9c1e"), "build-#")
    assert.strictEqual(folded("backup-20261130.sh"), "backup-#.sh")
    assert.strictEqual(folded("tmpab3x9k_q.py"), "tmp#.py")
    assert.strictEqual(folded("tmp.2aXk3PqLmN"), "tmp#")
    for (const kept of [
      "php-fpm8.2",
      "app-1.4.2.jar",
      "gcc-12",
      "x264",
      "sha256sum",
      "deadbeef",
      "systemd-tmpfiles",
      "tmpfiles.d",
      "R2-D2",
      "node_exporter"
    ]) {
      assert.strictEqual(folded(kept), kept)
    }
    assert.strictEqual(foldedName("worker-17", true), "worker-#")
    assert.strictEqual(foldedName("Worker #3", true), "Worker #")
    assert.strictEqual(foldedName("kafka:12", true), "kafka:#")
  })

  it.prop("a folded name folds to itself, and never grows", { name: Schema.String }, ({ name }) => {
    for (const chosen of [false, true]) {
      const once = foldedName(name, chosen)
      assert.strictEqual(foldedName(once, chosen), once)
      assert.isAtMost(once.length, name.length + 1)
    }
  })
})

describe("arguments stay on the machine", () => {
  const secret = "hunter2-Corr3ct"
  const lines = [
    "node --require X server.js",
    "node -r X s.js",
    "node -e X",
    "node --title X s.js",
    "node --newer-than-this X s.js",
    "node --newer-than-this X",
    "node --experimental-newer X s.js",
    "node s.js X",
    "node s.js --key X",
    "node --eval X",
    "python3 -c X",
    "python3 -W X s.py",
    "python3 -X X s.py",
    "python3 s.py X",
    "python3 -m mod X",
    "python3 -uWX s.py",
    "python3 -",
    "java -cp X Main",
    "java -Dpassword=X Main",
    "java --add-opens X Main",
    "java -jar a.jar X",
    "java -p X -m a/B",
    "java Main X",
    "perl -e X",
    "perl -ne X f",
    "perl -I X s.pl",
    "perl -lne X",
    "ruby -e X",
    "ruby -r X s.rb",
    "php -r X",
    "php -d X s.php",
    "php -S X s.php",
    "bash -c X",
    "bash -lc X",
    "bash -o X s.sh",
    "bash -eo X s.sh",
    "bash --rcfile X s.sh",
    "sh s.sh X",
    "bash -s X",
    "fish --command X",
    "fish --command=X",
    "fish -C X",
    "fish --init-command X",
    "bun exec X",
    "php -- X",
    "R --no-echo --no-restore --args X",
    "deno eval X",
    "bun -e X",
    "curl -u X",
    "mysql -pX",
    "dotnet a.dll X",
    "Rscript -e X",
    "lua -e X"
  ]

  it("whichever option a secret follows", () => {
    for (const line of lines) {
      const args = line.split(" ").map((arg) => arg.replace("X", secret))
      for (const comm of [args[0]!, "MainThread", "chosen"])
        assert.notInclude(nameOf(comm, args) ?? "", "hunter2", line)
    }
  })

  it.prop(
    "and however many options stand around it",
    {
      picks: Schema.Array(
        Schema.Literals(["--require", "-r", "--title=a", "-C", "--enable-source-maps", "--no-warnings", "--import"])
      )
    },
    ({ picks }) => {
      const args = [
        "node",
        ...picks.flatMap((pick) => (/^(--require|-r|-C|--import)$/.test(pick) ? [pick, secret] : [pick])),
        "s.js",
        secret
      ]
      assert.strictEqual(nameOf("node", args), "node s.js")
    }
  )
})
