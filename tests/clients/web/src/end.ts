import { useEffect, useRef } from "preact/hooks";

/** How near to its end a log counts as read to the end (pixels). */
const NEAR = 40;

/** Keeps a log at its end while its reader is there, also when a picture or a line below it changes the heights. `own` changes when the
 * reader writes: then the log goes to its end in any case. */
export function useEnd(own: unknown) {
  const log = useRef<HTMLDivElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const isAtEnd = useRef(true);
  const go = () => {
    if (isAtEnd.current && log.current) log.current.scrollTop = log.current.scrollHeight;
  };
  useEffect(() => {
    const box = log.current!;
    const scrolled = () => {
      isAtEnd.current = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR;
    };
    const observer = new ResizeObserver(go);
    observer.observe(box);
    observer.observe(content.current!);
    box.addEventListener("scroll", scrolled);
    return () => {
      observer.disconnect();
      box.removeEventListener("scroll", scrolled);
    };
  }, []);
  useEffect(() => {
    isAtEnd.current = true;
    go();
  }, [own]);
  return { log, content };
}
