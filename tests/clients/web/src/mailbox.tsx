// The mails that a development server wrote to its folder, where no mail server is set.
import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { explain } from "./api";
import { Failure, Notice } from "./content";
import { type Mail, mails } from "./session";

/** Interval between two readings of the mailbox (milliseconds). */
const INTERVAL = 2_000;

function Mailbox() {
  const [known, setKnown] = useState<Mail[]>([]);
  const [opened, setOpened] = useState("");
  const [failure, setFailure] = useState("");
  useEffect(() => {
    let timer = 0;
    const read = async () => {
      try {
        setKnown(await mails());
        setFailure("");
      } catch (error) {
        setFailure(explain(error));
      }
      timer = window.setTimeout(read, INTERVAL);
    };
    void read();
    return () => clearTimeout(timer);
  }, []);
  const mail = known.find(({ file_name }) => file_name === opened);
  return (
    <main class="mailbox">
      <h1>Mailbox</h1>
      <Notice />
      <Failure text={failure} />
      {known.length === 0 && <p class="quiet">No mail yet.</p>}
      <ul class="list">
        {known.map(({ file_name, to, subject }) => (
          <li key={file_name}>
            <button type="button" aria-current={file_name === opened} onClick={() => setOpened(file_name)}>
              <strong>{subject}</strong>
              <span class="quiet">to {to}</span>
            </button>
          </li>
        ))}
      </ul>
      {mail && (
        <section aria-label="Mail">
          <h2>{mail.subject}</h2>
          <p class="quiet">
            From {mail.from} to {mail.to}
          </p>
          {mail.html ? <iframe sandbox="" srcdoc={mail.html} title="The mail" /> : <pre>{mail.text}</pre>}
        </section>
      )}
    </main>
  );
}

render(<Mailbox />, document.getElementById("page")!);
