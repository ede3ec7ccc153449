//! The page in a real browser: signed in through the form, current without being loaded again,
//! and unmoved by what devices and operators wrote into it.

use muster_tests::browser::{self, Browser, Scheme};
use muster_tests::bundles::{Bundle, Recipe};
use muster_tests::device::Device;
use muster_tests::fleet::Fleet;
use muster_tests::settings::Settings;
use muster_tests::{cli, document, skip, wait};
use std::fs;
use std::path::Path;
use std::process::Command;

/// The key Enter, as WebDriver writes it.
const ENTER: &str = "\u{e007}";
/// What a careless page would run.
const IN_A_COLUMN: &str = "<img src=x onerror=window.pwned=1>";
const IN_A_RECEIPT: &str = "<script>window.pwned=2</script>\"><svg onload=alert(1)>\u{202e}";

/// The bearing of the story, whose reference has a column with a hostile name.
fn bearing(folder: &Path) -> Bundle {
    let story = Path::new(env!("CARGO_MANIFEST_DIR")).join("../xtask/story");
    let text = fs::read_to_string(story.join("reference.csv")).expect("the story");
    let reference = folder.join("reference.csv");
    fs::write(&reference, text.replacen("bearing_3", IN_A_COLUMN, 1)).expect("a file");
    Recipe::new(&story.join("bearing-1.0.0.onnx"), "bearing", "1.0.0")
        .golden(&story.join("bearing-1.0.0.golden.npz"))
        .with(&[
            "--reference",
            reference.to_str().expect("our paths are text"),
        ])
        .build()
}

/// Says, in the place of a device that does not run, that it refused the model.
fn refuse(fleet: &Fleet, device: &Device) {
    let refusal = document::refusal(
        &device.id,
        &document::key(device.state()),
        ("bearing", "1.0.0"),
        IN_A_RECEIPT,
    );
    let file = fleet.folder().join("refusal");
    fs::write(&file, refusal).expect("the disk takes it");
    let (identity, port) = (
        device.state().join("identity"),
        fleet.broker().port().to_string(),
    );
    let mut command = Command::new("mosquitto_pub");
    command.args([
        "-h",
        "localhost",
        "-p",
        &port,
        "-i",
        &device.id,
        "-q",
        "1",
        "-V",
        "mqttv311",
    ]);
    command
        .arg("--cafile")
        .arg(fleet.home().join("controller/ca-root.pem"));
    command.arg("--cert").arg(identity.join("chain.pem"));
    command.arg("--key").arg(identity.join("tls.key"));
    command
        .args(["-t", &format!("muster/v1/{}/up/doc", device.id), "-f"])
        .arg(file);
    cli::run(&mut command).ok();
}

fn wait_shown(browser: &Browser, selector: &str, part: &str) {
    wait::until(format!("the page to show {part:?}"), wait::SOON, || {
        let script = format!("return document.querySelector({selector:?})?.innerText");
        let text = browser.text(&script);
        if text.contains(part) {
            Ok(())
        } else {
            Err(text)
        }
    });
}

/// Predictions of the model in the page.
fn shown_predictions(browser: &Browser) -> Result<u64, String> {
    let text = browser.text("return document.querySelector('[data-count=bearing]')?.innerText");
    text.replace(',', "").parse().map_err(|_| text)
}

fn predict(device: &Device, rows: usize) {
    let rows: Vec<_> = (0..rows).map(|row| 0.05 + row as f32 / 5000.0).collect();
    let rows: Vec<_> = rows
        .iter()
        .map(|x| [*x, x + 0.01, x + 0.02, x - 0.02])
        .collect();
    device.scores("bearing", &rows).expect("it serves");
}

fn sign_in(fleet: &Fleet, browser: &Browser) {
    browser.open(&format!("http://{}/", fleet.api_address()));
    browser.type_into("#token", &format!("not the token{ENTER}"));
    wait_shown(browser, "main", "This is not the token.");
    browser.photograph("login");
    browser.type_into("#token", &format!("{}{ENTER}", fleet.token()));
    wait_shown(browser, "#live-text", "live");
    assert_eq!(browser.text("return location.pathname"), "/");
    assert_eq!(
        browser.text("return document.cookie"),
        "",
        "scripts do not see the session"
    );
    // The console has said that one answer was a 401; from here on it has nothing to say.
    browser.console();
}

fn photograph_all(browser: &Browser) {
    for (width, name) in [(1400, "wide"), (400, "narrow")] {
        for (scheme, suffix) in [(Scheme::Light, ""), (Scheme::Dark, "-dark")] {
            browser.resize(width, 900, scheme);
            let script = "return document.documentElement.scrollWidth - innerWidth";
            let beyond = browser.run(script).as_i64().expect("a number");
            assert!(beyond <= 0, "{beyond} px beyond {width} px");
            browser.photograph(&format!("{name}{suffix}"));
        }
    }
    browser.resize(1400, 900, Scheme::Light);
}

#[test]
fn the_page_is_live_and_what_devices_write_into_it_stays_text() {
    let (name, programs) = ("page: in a browser", browser::PROGRAMS);
    let mut programs = programs
        .map(|program| (program, browser::INSTALL))
        .into_iter();
    let mosquitto = ("mosquitto_pub", "apt-get install mosquitto-clients");
    if !programs.all(|(program, hint)| skip::has_program(name, program, hint))
        || !skip::has_program(name, mosquitto.0, mosquitto.1)
    {
        return;
    }
    let mut fleet = Fleet::start();
    let browser = Browser::start(fleet.folder());
    sign_in(&fleet, &browser);
    wait_shown(&browser, "#devices", "muster enroll-token");
    wait_shown(&browser, "#models", "muster rollout create");
    // Whatever comes now comes without the page being loaded again: this would not survive.
    browser.run("window.stays = 'as it was'");

    let device = Device::start_new(&fleet, "press-01", &Settings::default());
    let mute = Device::enroll(&fleet, "press-02", &Settings::default());
    fleet
        .cli(&["device", "label", "press-01", "site=berlin", "line=2"])
        .ok();
    wait_shown(&browser, "#device-press-01", "connected");
    wait_shown(&browser, "#device-press-01", "site=berlin");
    wait_shown(&browser, "#device-press-02", "never seen");
    fleet.ship(&bearing(fleet.folder()));
    wait_shown(&browser, "#device-press-01", "on desired");
    wait_shown(&browser, "#device-press-02", "waiting");

    predict(&device, 220);
    wait::until(
        "220 predictions in the page",
        wait::SOON,
        || match shown_predictions(&browser)? {
            220 => Ok(()),
            other => Err(other.to_string()),
        },
    );
    wait_shown(&browser, "#drift", IN_A_COLUMN);
    browser.run("document.querySelector('#drift details').open = true");
    predict(&device, 300);
    wait::until(
        "520 predictions in the page",
        wait::SOON,
        || match shown_predictions(&browser)? {
            520 => Ok(()),
            other => Err(other.to_string()),
        },
    );
    refuse(&fleet, &mute);
    wait_shown(&browser, "#device-press-02", "refused");
    wait_shown(
        &browser,
        "#device-press-02",
        "<script>window.pwned=2</script>\"><svg onload=alert(1)>\\u{202e}",
    );

    assert_eq!(browser.text("return window.stays"), "as it was");
    assert_eq!(
        browser.run("return document.querySelector('#drift details').open"),
        true
    );
    assert_eq!(browser.text("return typeof window.pwned"), "undefined");
    let strange =
        "return document.querySelectorAll('#live script, img, [onerror], [onload]').length";
    assert_eq!(browser.run(strange), 0);
    photograph_all(&browser);
    assert_eq!(browser.console(), [], "errors, or what the policy refused");

    // An open page does not keep the controller from ending, and says that it is alone.
    fleet.stop();
    wait_shown(&browser, "#live-text", "connection lost");
    fleet.serve();
}
