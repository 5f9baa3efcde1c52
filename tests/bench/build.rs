//! copper's macros want to know where the index of log texts goes.

fn main() {
    if let Ok(folder) = std::env::var("OUT_DIR") {
        println!("cargo:rustc-env=LOG_INDEX_DIR={folder}");
    }
}
