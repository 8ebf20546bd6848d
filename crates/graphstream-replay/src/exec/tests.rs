use super::{name_of, printable};

#[test]
fn a_name_is_the_program_and_never_an_assignment_or_an_argument() {
    for (command, name) in [
        ("follower", "exec:follower"),
        ("  /usr/bin/python3 copy.py --token s3cret", "exec:/usr/bin/python3"),
        ("TOKEN=s3cret exec follower", "exec:follower"),
        ("TOKEN='s3 cret' follower", "exec:follower"),
        ("TOKEN=\"s3 \\\" 'cret\" follower", "exec:follower"),
        (r"TOKEN=s3\ cret follower", "exec:follower"),
        ("A=1 B=2\tfollower", "exec:follower"),
        ("TOKEN=$(echo s3cret) follower", "exec:sh"),
        ("TOKEN=`echo s3cret` follower", "exec:sh"),
        ("TOKEN=s3cret", "exec:sh"),
        ("", "exec:sh"),
    ] {
        assert_eq!(name_of(command), name, "{command}");
    }
}

#[test]
fn what_a_child_says_keeps_its_lines_and_loses_its_control_characters() {
    assert_eq!(
        printable("a\tb\nc\u{1b}[2J\r\u{7f}\u{85}\u{e9}"),
        "a\tb\nc\u{fffd}[2J\u{fffd}\u{fffd}\u{fffd}\u{e9}"
    );
}
