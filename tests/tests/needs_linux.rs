//! What the tests of this crate report on other systems.

/// On Linux the other test binaries speak for themselves; elsewhere they are empty, and this says why.
#[test]
fn real_networks_are_tried_on_linux() {
    #[cfg(not(target_os = "linux"))]
    connie_tests::skip("Linux", "the laboratory is made of Linux network namespaces");
    #[cfg(target_os = "linux")]
    assert!(std::path::Path::new("/proc/self/ns/net").exists(), "a kernel with network namespaces");
}
