//! A map as text.

use serde_json::Value;

/// Draws a `nav_msgs/OccupancyGrid` (as JSON) at most `columns` wide, y up: `#` occupied, `.` free, blank unknown, `@` the robot.
#[must_use]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
pub fn draw(grid: &Value, robot: Option<(f64, f64)>, columns: usize) -> String {
    let info = &grid["info"];
    let number = |value: &Value| value.as_f64().unwrap_or(0.0);
    let (width, height) = (number(&info["width"]) as usize, number(&info["height"]) as usize);
    let cells: Vec<i64> = grid["data"].as_array().map_or_else(Vec::new, |a| a.iter().map(|v| v.as_i64().unwrap_or(-1)).collect());
    if width == 0 || height == 0 || cells.len() != width * height || columns == 0 {
        return "the map is empty\n".into();
    }
    // A character is about twice as high as wide.
    let step = width.div_ceil(columns).max(1);
    let resolution = number(&info["resolution"]).max(1e-6);
    let origin = &info["origin"]["position"];
    let robot_cell = robot
        .map(|(x, y)| (((x - number(&origin["x"])) / resolution) as isize, ((y - number(&origin["y"])) / resolution) as isize));
    let mut text = String::new();
    let rows: Vec<usize> = (0..height).step_by(step * 2).collect();
    for &row in rows.iter().rev() {
        for column in (0..width).step_by(step) {
            let block = (row..(row + step * 2).min(height))
                .flat_map(|r| (column..(column + step).min(width)).map(move |c| r * width + c));
            let worst = block.map(|i| cells[i]).max().unwrap_or(-1);
            let here = robot_cell.is_some_and(|(c, r)| {
                (column as isize..(column + step) as isize).contains(&c) && (row as isize..(row + step * 2) as isize).contains(&r)
            });
            text.push(match worst {
                _ if here => '@',
                65.. => '#',
                0.. => '.',
                _ => ' ',
            });
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_map_is_drawn_with_y_up() {
        let grid = serde_json::json!({
            "info": {"width": 2, "height": 4, "resolution": 1.0, "origin": {"position": {"x": 0.0, "y": 0.0}}},
            "data": [0, 0, 0, 0, 100, -1, 0, -1],
        });
        assert_eq!(draw(&grid, Some((1.5, 0.5)), 80), "# \n.@\n");
        assert_eq!(draw(&serde_json::json!({}), None, 80), "the map is empty\n");
    }
}
