//! Grids over the floor.

use glam::DVec2;

/// Occupancy of a free cell (nav_msgs/OccupancyGrid).
pub const FREE: i8 = 0;
/// Occupancy of an occupied cell (nav_msgs/OccupancyGrid).
pub const OCCUPIED: i8 = 100;
/// Occupancy of a cell nobody knows about (nav_msgs/OccupancyGrid).
pub const UNKNOWN: i8 = -1;

/// A cell of a grid: column (along x) and row (along y) from the lower left corner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cell {
    /// Column, along x.
    pub x: i32,
    /// Row, along y.
    pub y: i32,
}

impl Cell {
    /// A cell from column and row.
    pub fn new(x: i32, y: i32) -> Self {
        Self { x, y }
    }
}

/// Why a grid could not be made.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum GridError {
    /// Zero cells, a resolution that is not positive, or an origin that is not finite.
    #[error("a grid of {width} x {height} cells of {resolution} m at ({x}, {y}) is not usable")]
    BadShape {
        /// Columns.
        width: usize,
        /// Rows.
        height: usize,
        /// Cell size, m.
        resolution: f64,
        /// Origin, m.
        x: f64,
        /// Origin, m.
        y: f64,
    },
    /// The data does not fill the grid.
    #[error("a grid of {width} x {height} cells needs {needed} values, got {got}")]
    WrongLength {
        /// Columns.
        width: usize,
        /// Rows.
        height: usize,
        /// Values needed.
        needed: usize,
        /// Values given.
        got: usize,
    },
}

/// A grid of values over a rectangle of the floor, axis-aligned with its frame. Row-major from the lower left corner,
/// as in nav_msgs/OccupancyGrid.
#[derive(Clone, Debug, PartialEq)]
pub struct Grid<T> {
    resolution: f64,
    origin: DVec2,
    width: usize,
    height: usize,
    data: Vec<T>,
}

impl<T: serde::Serialize> serde::Serialize for Grid<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.width, self.height, self.resolution, self.origin.to_array(), &self.data).serialize(serializer)
    }
}

impl<'de, T: Copy + serde::Deserialize<'de>> serde::Deserialize<'de> for Grid<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (width, height, resolution, origin, data) = serde::Deserialize::deserialize(deserializer)?;
        Self::new(width, height, resolution, DVec2::from_array(origin), data).map_err(serde::de::Error::custom)
    }
}

impl<T: Copy> Grid<T> {
    /// A grid from its data; `origin` is the lower left corner of the first cell (m), `resolution` the cell size (m).
    pub fn new(width: usize, height: usize, resolution: f64, origin: DVec2, data: Vec<T>) -> Result<Self, GridError> {
        let cells = width.checked_mul(height).filter(|cells| *cells <= i32::MAX as usize);
        let usable = width > 0 && height > 0 && resolution > 0.0 && resolution.is_finite() && origin.is_finite();
        let Some(needed) = cells.filter(|_| usable) else {
            return Err(GridError::BadShape { width, height, resolution, x: origin.x, y: origin.y });
        };
        if data.len() != needed {
            return Err(GridError::WrongLength { width, height, needed, got: data.len() });
        }
        Ok(Self { resolution, origin, width, height, data })
    }

    /// A grid with the same value everywhere.
    pub fn filled(width: usize, height: usize, resolution: f64, origin: DVec2, value: T) -> Result<Self, GridError> {
        let cells = width.checked_mul(height).filter(|cells| *cells <= i32::MAX as usize).unwrap_or(0);
        Self::new(width, height, resolution, origin, vec![value; cells])
    }

    /// A grid of the same shape with every value mapped.
    pub fn map<U: Copy>(&self, f: impl Fn(T) -> U) -> Grid<U> {
        self.with_data(self.data.iter().map(|value| f(*value)).collect())
    }

    /// Same shape, other data; the caller keeps the length.
    pub(crate) fn with_data<U>(&self, data: Vec<U>) -> Grid<U> {
        debug_assert_eq!(data.len(), self.data.len());
        Grid { resolution: self.resolution, origin: self.origin, width: self.width, height: self.height, data }
    }

    /// Columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Cell size, m.
    pub fn resolution(&self) -> f64 {
        self.resolution
    }

    /// Lower left corner of the first cell, m.
    pub fn origin(&self) -> DVec2 {
        self.origin
    }

    /// The values, row-major from the lower left corner.
    pub fn data(&self) -> &[T] {
        &self.data
    }

    /// The values, to change.
    pub fn data_mut(&mut self) -> &mut [T] {
        &mut self.data
    }

    /// The cell a point lies in; cells outside the grid have coordinates outside it. Far points saturate, NaN lies
    /// outside.
    pub fn cell(&self, point: DVec2) -> Cell {
        let scaled = (point - self.origin) / self.resolution;
        let column = |value: f64| if value.is_nan() { i32::MIN } else { value.floor() as i32 };
        Cell { x: column(scaled.x), y: column(scaled.y) }
    }

    /// The centre of a cell, m.
    pub fn centre(&self, cell: Cell) -> DVec2 {
        self.origin + (DVec2::new(f64::from(cell.x), f64::from(cell.y)) + 0.5) * self.resolution
    }

    /// Index of a cell into the data; None outside the grid.
    pub fn index(&self, cell: Cell) -> Option<usize> {
        let (x, y) = (usize::try_from(cell.x).ok()?, usize::try_from(cell.y).ok()?);
        (x < self.width && y < self.height).then(|| y * self.width + x)
    }

    /// The cell of an index into the data.
    pub fn cell_at(&self, index: usize) -> Cell {
        Cell { x: (index % self.width) as i32, y: (index / self.width) as i32 }
    }

    /// The value of a cell; None outside the grid.
    pub fn get(&self, cell: Cell) -> Option<T> {
        self.index(cell).map(|index| self.data[index])
    }

    /// The value at a point; None outside the grid.
    pub fn at(&self, point: DVec2) -> Option<T> {
        self.get(self.cell(point))
    }

    /// Sets a cell; a cell outside the grid is left alone and gives false.
    pub fn set(&mut self, cell: Cell, value: T) -> bool {
        match self.index(cell) {
            Some(index) => {
                self.data[index] = value;
                true
            }
            None => false,
        }
    }

    /// Sets every cell whose centre lies in an axis-aligned box (m).
    pub fn fill_box(&mut self, low: DVec2, high: DVec2, value: T) {
        let (first, last) = (self.cell(low), self.cell(high));
        for y in first.y.max(0)..=last.y.min(self.height as i32 - 1) {
            for x in first.x.max(0)..=last.x.min(self.width as i32 - 1) {
                let cell = Cell { x, y };
                let centre = self.centre(cell);
                if centre.cmpge(low).all() && centre.cmple(high).all() {
                    self.set(cell, value);
                }
            }
        }
    }

    /// Upper right corner, m.
    pub fn upper(&self) -> DVec2 {
        self.origin + DVec2::new(self.width as f64, self.height as f64) * self.resolution
    }
}

impl Grid<f32> {
    /// Value and gradient (per metre) at a point by bilinear interpolation between cell centres; the border value is
    /// continued outside, with no gradient there. Used by scan matching on a distance field.
    pub fn interpolate(&self, point: DVec2) -> (f64, DVec2) {
        let scaled = (point - self.origin) / self.resolution - 0.5;
        let limit = DVec2::new(self.width as f64 - 1.0, self.height as f64 - 1.0);
        let clamped = scaled.clamp(DVec2::ZERO, limit);
        let base = clamped.floor();
        let (x0, y0) = (base.x as usize, base.y as usize);
        let (x1, y1) = ((x0 + 1).min(self.width - 1), (y0 + 1).min(self.height - 1));
        let t = clamped - base;
        let value = |x: usize, y: usize| f64::from(self.data[y * self.width + x]);
        let (v00, v10, v01, v11) = (value(x0, y0), value(x1, y0), value(x0, y1), value(x1, y1));
        let low = v00 + (v10 - v00) * t.x;
        let high = v01 + (v11 - v01) * t.x;
        let mut gradient = DVec2::new((v10 - v00) * (1.0 - t.y) + (v11 - v01) * t.y, high - low) / self.resolution;
        if clamped.x != scaled.x {
            gradient.x = 0.0;
        }
        if clamped.y != scaled.y {
            gradient.y = 0.0;
        }
        (low + (high - low) * t.y, gradient)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_cell_centre_lies_in_its_cell() {
        let grid = Grid::filled(20, 10, 0.05, DVec2::new(-0.3, 1.0), 0u8).unwrap();
        for index in 0..200 {
            let cell = grid.cell_at(index);
            assert_eq!(grid.cell(grid.centre(cell)), cell);
            assert_eq!(grid.index(cell), Some(index));
        }
        assert_eq!(grid.get(Cell::new(-1, 0)), None);
        assert_eq!(grid.get(Cell::new(20, 0)), None);
        assert_eq!(grid.at(DVec2::new(1e30, 1.2)), None);
        assert_eq!(grid.at(DVec2::NAN), None);
    }

    #[test]
    fn impossible_grids_are_refused() {
        assert!(matches!(
            Grid::new(2, 2, 0.05, DVec2::ZERO, vec![0u8; 3]),
            Err(GridError::WrongLength { needed: 4, got: 3, .. })
        ));
        assert!(matches!(Grid::filled(0, 2, 0.05, DVec2::ZERO, 0u8), Err(GridError::BadShape { .. })));
        assert!(matches!(Grid::filled(2, 2, 0.0, DVec2::ZERO, 0u8), Err(GridError::BadShape { .. })));
        assert!(matches!(Grid::filled(usize::MAX, 2, 1.0, DVec2::ZERO, 0u8), Err(GridError::BadShape { .. })));
        assert!(Grid::filled(2, 2, 1.0, DVec2::new(f64::NAN, 0.0), 0u8).is_err());
    }

    #[test]
    fn a_box_covers_the_cells_whose_centres_it_holds() {
        let mut grid = Grid::filled(10, 10, 0.1, DVec2::ZERO, FREE).unwrap();
        grid.fill_box(DVec2::new(0.2, 0.2), DVec2::new(0.4, 0.3), OCCUPIED);
        assert_eq!(grid.data().iter().filter(|value| **value == OCCUPIED).count(), 2);
    }

    proptest! {
        #[test]
        fn interpolation_reproduces_a_plane(a in -1.0f64..1.0, b in -1.0f64..1.0, x in 0.1f64..0.9, y in 0.1f64..0.9) {
            let shape = Grid::filled(10, 10, 0.1, DVec2::ZERO, 0.0f32).unwrap();
            let data = (0..100).map(|i| { let c = shape.centre(shape.cell_at(i)); (a * c.x + b * c.y) as f32 }).collect();
            let plane = shape.with_data(data);
            let (value, gradient) = plane.interpolate(DVec2::new(x, y));
            prop_assert!((value - (a * x + b * y)).abs() < 1e-5);
            prop_assert!((gradient - DVec2::new(a, b)).length() < 1e-4);
        }
    }
}
