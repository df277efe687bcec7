//! Bars, in SVG.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use crate::report::Side;

const SIZE: (u32, u32) = (720, 60);

/// How high a bar is, its gap included, in pixels.
const BAR: u32 = 44;

/// Draws a bar for the median of each side's figures of that unit, and a line from the least to the
/// greatest.
pub fn bars(file: &Path, title: &str, unit: &str, sides: &[Side]) -> Result<()> {
    let of = |side: &Side| {
        let found = side.figures.iter().find(|(name, _)| *name == unit);
        found.map(|(_, figures)| (side.name.clone(), figures.median(), figures.spread()))
    };
    let bars: Vec<_> = sides.iter().filter_map(of).collect();
    let count = i32::try_from(bars.len())?;
    let greatest = bars
        .iter()
        .map(|(_, _, (_, most))| *most)
        .fold(0.0, f64::max);
    let size = (SIZE.0, SIZE.1 + BAR * u32::try_from(count)?);
    let area = SVGBackend::new(file, size).into_drawing_area();
    draw(&area, title, unit, &bars, greatest * 1.25).map_err(|error| anyhow!("{error}"))
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn draw(
    area: &Area<'_>,
    title: &str,
    unit: &str,
    bars: &[(String, f64, (f64, f64))],
    most: f64,
) -> Result<(), Box<dyn std::error::Error>> {
    area.fill(&WHITE)?;
    let font = |size| ("sans-serif", size).into_font();
    area.draw(&Text::new(format!("{title}, {unit}"), (16, 12), font(18)))?;
    let (from, width) = (210, 460.0);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "less than a thousand pixels"
    )]
    let place = |figure: f64| from + (figure / most * width).round() as i32;
    for (number, (name, median, (least, greatest))) in (0_i32..).zip(bars) {
        let top = 44 + number * i32::try_from(BAR)?;
        let middle = top + 14;
        area.draw(&Text::new(name.clone(), (16, middle - 7), font(14)))?;
        let ours = name == "session-validator";
        let colour = if ours {
            RGBColor(31, 119, 180)
        } else {
            RGBColor(160, 160, 160)
        };
        area.draw(&Rectangle::new(
            [(from, top), (place(*median), top + 28)],
            colour.filled(),
        ))?;
        let spread = vec![(place(*least), middle), (place(*greatest), middle)];
        area.draw(&PathElement::new(spread, BLACK.stroke_width(2)))?;
        let label = if *median >= 100.0 {
            format!("{median:.0}")
        } else {
            format!("{median:.1}")
        };
        area.draw(&Text::new(
            label,
            (place(*greatest) + 8, middle - 7),
            font(14),
        ))?;
    }
    area.present()?;
    Ok(())
}
