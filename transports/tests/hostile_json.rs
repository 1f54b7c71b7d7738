//! What hostile or careless peers try in JSON, against both servers.
#![cfg(all(feature = "conformance", feature = "http", feature = "threads", feature = "smol"))]

mod node;

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use node::{context, executed};
use pleach_transports::{Transport, conformance::Served, http::HttpTransport};

const LIMIT: usize = 8 * 1024 * 1024;

fn servers() -> [Served; 2] {
    [context(1), executed(1)].map(|context| {
        let transport = HttpTransport::builder().bind("127.0.0.1:0").transport(context).unwrap();
        Served::echo(transport.listen().unwrap())
    })
}

/// The status of the response, and all of it.
fn post(server: &Served, headers: &str, body: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(&server.address.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let head = format!(
        "POST /api/v0/sync HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    // The server may refuse before it has read all.
    let _ = stream.write_all(body);
    let mut answer = Vec::new();
    // A connection that is reset has said its status all the same.
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, answer)
}

const JSON: &str = "content-type: application/json; charset=utf-8\r\n";

#[test]
fn malformed_json_is_refused_with_its_place() {
    for server in servers() {
        let good = post(&server, JSON, br#"[{"wants":[]}, "Bw=="]"#);
        assert_eq!(good.0, 200, "{}", good.1);
        assert!(good.1.contains("content-type: application/json"), "{}", good.1);
        let deep = "[".repeat(100_000);
        for body in ["", "[", "{\"wants\":[]", "{}", "[{\"waits\":[]}]", "[\"\"]", "null", "\u{0}", &deep] {
            let (status, answer) = post(&server, JSON, body.as_bytes());
            assert_eq!(status, 400, "{answer}");
            assert!(
                answer.contains("{\"error\":\"not a frame in JSON: ") && answer.contains("line 1"),
                "{answer}"
            );
        }
        assert_eq!(post(&server, JSON, b"[\"\xff\"]").0, 400);
    }
}

#[test]
fn a_body_in_json_has_its_limit_as_it_is_sent() {
    for server in servers() {
        let mut body = br#"[{"wants":[]}]"#.to_vec();
        body.resize(LIMIT, b' ');
        assert_eq!(post(&server, JSON, &body).0, 200, "as large as it may be");
        body.push(b' ');
        assert_eq!(post(&server, JSON, &body).0, 413);
    }
}

#[test]
fn a_message_of_very_many_frames_is_as_large_as_it_costs() {
    for server in servers() {
        // Each of them costs 64 bytes at least.
        let most = LIMIT / 64;
        for (frames, status) in [(most, 200), (most + 1, 413)] {
            let body = format!("[{}]", vec![r#""Bw==""#; frames].join(","));
            assert_eq!(post(&server, JSON, body.as_bytes()).0, status);
        }
    }
}

#[test]
fn another_content_type_is_refused_with_the_two_that_work() {
    for server in servers() {
        for headers in ["", "content-type: text/plain\r\n", &[JSON, JSON].concat()] {
            let (status, answer) = post(&server, headers, b"[]");
            assert_eq!(status, 415);
            assert!(answer.contains("application/json or application/postcard"), "{answer}");
        }
        let asked = post(&server, &[JSON, "accept: application/postcard\r\n"].concat(), b"[]");
        assert!(asked.1.contains("content-type: application/postcard"), "the answer is as it was asked for");
    }
}

#[test]
fn a_malformed_signature_is_refused() {
    for server in servers() {
        let signed = |text: &str| post(&server, &format!("{JSON}pleach-signature: {text}\r\n"), b"[]");
        for text in ["", "x", "a b c d"] {
            let (status, answer) = signed(text);
            assert_eq!(status, 400, "{answer}");
            assert!(answer.contains("KEY TIME NONCE SIGNATURE"), "{answer}");
        }
    }
}
